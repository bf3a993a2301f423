"""The portrait panel: faces found once, chosen by clicks and numbers, or pointed out by hand."""

from __future__ import annotations

import base64
import threading
from types import SimpleNamespace

import numpy as np
import pytest

gr = pytest.importorskip("gradio")

from PIL import Image  # noqa: E402

from sadtalker_ext.errors import DependencyError, FaceNotFoundError, PictureError  # noqa: E402
from sadtalker_ext.face import face_from_points, load_portrait  # noqa: E402
from sadtalker_ext.host import StandaloneHost  # noqa: E402
from sadtalker_ext.options import Options  # noqa: E402
from sadtalker_ext.page import compat, face_choice, portrait_panel  # noqa: E402
from sadtalker_ext.page.face_choice import FaceChoice, find  # noqa: E402
from sadtalker_ext.system import caches  # noqa: E402

SHELL = SimpleNamespace(host=StandaloneHost())


@pytest.fixture(autouse=True)
def _forget():
    caches.release()


def picture_of(width: int, height: int, seed: int = 0, mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, len(mode)), np.uint8)
    return Image.fromarray(values, mode).resize((width, height), Image.Resampling.NEAREST)


def face_at(x: float, y: float, size: float):
    """A face about `size` pixels across whose middle is near x, y."""
    around = ((-0.2, -0.15), (0.2, -0.15), (0, 0.05), (-0.15, 0.25), (0.15, 0.25))
    points = [(x + size * dx, y + size * dy) for dx, dy in around]
    return face_from_points(points, 10_000, 10_000)


@pytest.fixture
def faces(monkeypatch):
    """The faces that any picture holds, and how often they were looked for."""
    state = SimpleNamespace(found=[], calls=0, error=None)

    def look(image, **settings):
        state.calls += 1
        if state.error is not None:
            raise state.error
        return list(state.found)

    monkeypatch.setattr("sadtalker_ext.face.portrait.find_faces", look)
    return state


def shown_point(choice: FaceChoice, x: float, y: float) -> tuple[float, float]:
    """Where a point of the picture is in what is shown of it."""
    x0, y0, x1, y1 = choice._view()
    height, width = choice.drawn().shape[:2]
    scale = choice.found.scale
    return (x * scale - x0) * width / (x1 - x0), (y * scale - y0) * height / (y1 - y0)


def clicks(choice: FaceChoice, *points: tuple[float, float]) -> FaceChoice:
    """After clicks at points of the picture."""
    for x, y in points:
        choice = choice.clicked(*shown_point(choice, x, y))
    return choice


def near(points, others, pixels: float) -> bool:
    return len(points) == len(others) and bool(np.abs(np.subtract(points, others)).max() <= pixels)


FIVE = ((200.0, 180.0), (280.0, 180.0), (240.0, 220.0), (210.0, 260.0), (270.0, 260.0))


class TestFinding:
    def test_the_demo_portrait_has_one_face_and_needs_no_options(self, demo_portrait):
        choice = FaceChoice.first(find(Image.open(demo_portrait)))
        assert choice.sentence() == "1 face found."
        assert choice.options() == {}
        assert not choice.clickable

    def test_one_picture_is_searched_once(self, faces):
        faces.found = [face_at(100, 100, 80)]
        first = find(picture_of(320, 240))
        assert find(picture_of(320, 240)) is first
        assert faces.calls == 1
        find(picture_of(320, 240, seed=1))
        assert faces.calls == 2

    def test_only_a_few_pictures_are_remembered(self, faces):
        for seed in range(face_choice.FOUND_KEPT + 1):
            find(picture_of(320, 240, seed))
        find(picture_of(320, 240, 0))
        assert faces.calls == face_choice.FOUND_KEPT + 2

    def test_a_second_request_waits_for_the_search_that_runs(self, faces, monkeypatch):
        started, go_on = threading.Event(), threading.Event()

        def slow(image, **settings):
            faces.calls += 1
            started.set()
            assert go_on.wait(30)
            return [face_at(100, 100, 80)]

        monkeypatch.setattr("sadtalker_ext.face.portrait.find_faces", slow)
        results = []
        threads = [threading.Thread(target=lambda: results.append(find(picture_of(320, 240)))) for _ in "ab"]
        threads[0].start()
        assert started.wait(30)
        threads[1].start()
        go_on.set()
        for thread in threads:
            thread.join(30)
        assert faces.calls == 1
        assert results[0] is results[1]

    def test_transparency_makes_another_picture_and_shows_as_grey(self, faces):
        opaque = picture_of(320, 240)
        clear = opaque.convert("RGBA")
        clear.putalpha(Image.linear_gradient("L").resize(clear.size))
        assert find(opaque).key != find(clear).key
        assert abs(find(clear).base[0].astype(int) - face_choice.BACKDROP).max() <= 3

    def test_of_an_animation_the_frame_with_the_face_is_shown(self, monkeypatch, tmp_path):
        def look(image, **settings):
            return [face_at(160, 120, 80)] if image.mean() > 180 else []

        monkeypatch.setattr("sadtalker_ext.face.portrait.find_faces", look)
        card = picture_of(320, 240)
        face = card.point([170 + value // 3 for value in range(256)] * 3)
        card.save(tmp_path / "moving.gif", save_all=True, append_images=[face, card])
        with Image.open(tmp_path / "moving.gif") as opened:
            found = find(opened)
            spoken = load_portrait(opened)
        assert len(found.faces) == 1
        assert found.base.mean() > 180
        assert (found.base == spoken.image).all()

    def test_a_huge_picture_is_kept_small_and_clicks_are_in_its_own_pixels(self, faces):
        found = find(picture_of(6000, 4000))
        assert max(found.base.shape) == face_choice.BASE_SIDE
        assert found.base.shape[1] / found.scale == pytest.approx(6000)
        five = [(x * 10, y * 10) for x, y in FIVE]
        assert near(clicks(FaceChoice.first(found), *five).options()["points"], five, 4)

    def test_a_useless_picture_is_a_sentence(self):
        with pytest.raises(PictureError, match="64 pixels"):
            find(picture_of(40, 40))

    def test_without_a_detector_the_five_points_are_offered(self, faces):
        faces.error = DependencyError("mediapipe is missing; run: pip install mediapipe.")
        choice = FaceChoice.first(find(picture_of(512, 512)))
        assert choice.by_hand
        assert choice.sentence().startswith("Faces cannot be looked for (mediapipe is missing). Click five")
        with pytest.raises(FaceNotFoundError, match="mediapipe is missing"):
            choice.options()
        assert set(clicks(choice, *FIVE).options()) == {"points"}
        faces.error, faces.found = None, [face_at(150, 150, 100)]
        assert find(picture_of(512, 512)).faces, "a failure was remembered"


class TestSeveralFaces:
    @pytest.fixture
    def choice(self, faces):
        faces.found = [face_at(150, 150, 200), face_at(420, 150, 150), face_at(620, 150, 100)]
        return FaceChoice.first(find(picture_of(720, 320)))

    def test_the_largest_is_chosen_first(self, choice):
        assert choice.number == 1
        assert "3 faces found: click the one that is to speak" in choice.sentence()

    @pytest.mark.parametrize(("x", "number"), [(140, 1), (430, 2), (700, 3)])
    def test_a_click_chooses_the_face_there_or_the_nearest(self, choice, x, number):
        chosen = clicks(choice, (x, 160))
        assert chosen.number == number
        at = chosen.options()["face_at"]
        face = chosen.found.faces[number - 1]
        assert face.contains(at[0] * chosen.found.scale, at[1] * chosen.found.scale)

    @pytest.mark.parametrize("number", ["2", 2])
    def test_a_number_chooses_too(self, choice, number):
        assert choice.numbered(number).number == 2

    @pytest.mark.parametrize("number", ["0", "4", "x", None, "", 1.5, [], "²"])
    def test_an_impossible_number_changes_nothing(self, choice, number):
        assert choice.numbered(number).number == 1

    def test_a_choice_is_seen(self, choice):
        assert not np.array_equal(choice.drawn(), choice.numbered(2).drawn())

    def test_the_options_lead_the_pipeline_to_that_face(self, demo_portrait, monkeypatch):
        own = Image.open(demo_portrait).convert("RGB")
        wide = Image.new("RGB", (own.width * 2, own.height), "grey")
        wide.paste(own.resize((400, 400)), (0, 0))
        wide.paste(own, (own.width, 0))
        choice = FaceChoice.first(find(wide))
        assert len(choice.found.faces) == 2
        for number in (1, 2):
            options = Options(**choice.numbered(number).options())
            face = load_portrait(wide, face_at=options.face_at).face
            expected = choice.found.faces[number - 1].centre
            assert face.centre == pytest.approx(tuple(v / choice.found.scale for v in expected), abs=2)


class TestPointsByHand:
    @pytest.fixture
    def choice(self, faces):
        return FaceChoice.first(find(picture_of(512, 400)))

    def test_every_click_names_the_next_point(self, choice):
        assert choice.sentence().startswith("No face was found in the picture. Click five points")
        told = []
        for point in FIVE:
            choice = clicks(choice, point)
            told.append(choice.sentence())
        assert [sentence.partition("(")[2][:6] for sentence in told[:4]] == [f"{n} of 5" for n in range(2, 6)]
        assert told[4].startswith("The five points are set")

    def test_five_points_are_what_the_pipeline_takes(self, choice):
        options = Options(**clicks(choice, *FIVE).options())
        assert near(options.points, FIVE, 0.2)
        portrait = load_portrait(picture_of(512, 400), points=options.points)
        assert portrait.face.contains(240, 220)

    @pytest.mark.parametrize("count", [1, 4])
    def test_too_few_points_say_which_is_next(self, choice, count):
        with pytest.raises(
            FaceNotFoundError, match=f"Only {count} of the five.*{face_choice.POINT_NAMES[count]}"
        ):
            clicks(choice, *FIVE[:count]).options()

    def test_undo_takes_back_the_last(self, choice):
        undone = clicks(choice, *FIVE[:3]).undone()
        assert undone.points == clicks(choice, *FIVE[:2]).points
        assert choice.undone().points == ()

    def test_a_sixth_click_moves_the_nearest(self, choice):
        moved = clicks(choice, *FIVE, (245.0, 230.0))
        assert moved.options()["points"][2] == pytest.approx((245.0, 230.0), abs=0.2)
        assert moved.options()["points"][:2] == clicks(choice, *FIVE).options()["points"][:2]

    def test_points_that_make_no_face_say_so(self, choice):
        wrong = clicks(choice, FIVE[0], FIVE[0], *FIVE[2:])
        assert "start over" in wrong.sentence()
        assert wrong.drawn().shape[2] == 3
        with pytest.raises(FaceNotFoundError):
            wrong.options()
        assert wrong.pointed().points == ()

    def test_clicks_beside_the_picture_land_on_its_edge(self, choice):
        assert choice.clicked(-50.0, 1e9).points == ((0.0, float(choice.found.height)),)

    def test_a_closer_look_keeps_the_places(self, choice):
        aiming = choice.zoomed()
        assert "larger" in aiming.sentence()
        close = clicks(aiming, (240.0, 220.0))
        assert close.points == ()
        assert close.window is not None
        assert close.aspect == pytest.approx(choice.aspect, rel=0.02)
        zoomed_out = clicks(close, *FIVE).zoomed()
        assert zoomed_out.window is None
        assert near(zoomed_out.options()["points"], FIVE, 0.2)

    def test_looking_closer_at_the_corner_stays_inside(self, choice):
        close = choice.zoomed().clicked(0.0, 0.0)
        assert close.window is not None
        assert close.window[:2] == (0.0, 0.0)
        for _ in range(9):
            close = face_choice.replace(close, aiming=True).clicked(719.0, 0.0)
        assert close.drawn().shape[1] == face_choice.SHOWN_SIDE

    def test_a_found_face_can_be_overruled_and_returned_to(self, faces):
        faces.found = [face_at(150, 150, 100)]
        found = FaceChoice.first(find(picture_of(512, 400)))
        by_hand = found.pointed()
        assert by_hand.clickable
        with pytest.raises(FaceNotFoundError, match="No point is set"):
            by_hand.options()
        assert set(clicks(by_hand, *FIVE).options()) == {"points"}


class TestReading:
    def test_no_picture(self):
        with pytest.raises(PictureError, match="No portrait"):
            portrait_panel.read([None, None, "1"])

    def test_generate_before_the_search_has_ended(self, faces):
        faces.found = [face_at(150, 150, 100)]
        picture = picture_of(512, 400)
        read = portrait_panel.read([picture, None, "1"])
        assert read.picture is picture
        assert read.options == {}
        faces.found = []
        with pytest.raises(FaceNotFoundError, match="five points"):
            portrait_panel.read([picture_of(512, 400, seed=1), None, "1"])

    def test_a_choice_for_another_picture_does_not_count(self, faces):
        faces.found = [face_at(150, 150, 100), face_at(400, 150, 80)]
        old = portrait_panel._Page(FaceChoice.first(find(picture_of(512, 400))).numbered(2))
        new = portrait_panel.read([picture_of(512, 400, seed=1), old, "2"])
        assert new.options["face_at"] == pytest.approx((150, 150), abs=30)

    def test_the_number_that_is_seen_counts(self, faces):
        faces.found = [face_at(150, 150, 100), face_at(400, 150, 80)]
        picture = picture_of(512, 400)
        choice = portrait_panel._Page(FaceChoice.first(find(picture)))
        assert portrait_panel.read([picture, choice, "2"]).options["face_at"][0] == pytest.approx(400, abs=30)
        assert portrait_panel.read([picture, choice, "9"]).options["face_at"][0] == pytest.approx(150, abs=30)


@pytest.fixture
def blocks():
    with gr.Blocks() as made:
        made.panel = portrait_panel.build(SHELL)
    return made


class TestOnThePage:
    def test_components_have_ids_labels_and_stay_out_of_the_hosts_config(self, blocks):
        values = [c for c in blocks.blocks.values() if getattr(c, "label", None) or hasattr(c, "value")]
        ids = [c.elem_id for c in values if not isinstance(c, gr.State)]
        assert len(set(ids)) == len(ids)
        assert all(name and name.startswith("sadtalker_") for name in ids)
        labels = [c.label for c in values if getattr(c, "label", None)]
        assert len(set(labels)) == len(labels)
        assert all(c.do_not_save_to_config for c in values if not isinstance(c, gr.State))
        assert blocks.panel.image.elem_id == "sadtalker_image"

    def test_nothing_waits_in_the_hosts_queue(self, blocks):
        dependencies = blocks.config["dependencies"] if hasattr(blocks, "config") else blocks.dependencies
        assert len(dependencies) >= 8
        assert all(one["queue"] is False for one in dependencies)

    def test_a_cleared_picture_resets_all(self, faces):
        faces.found = [face_at(150, 150, 100), face_at(400, 150, 80)]
        filled = portrait_panel.examine(picture_of(512, 400))
        assert filled[0].choice.found.faces
        assert filled[1]["visible"]
        cleared = portrait_panel.examine(None)
        assert cleared[0] is None
        assert not cleared[1]["visible"]
        assert cleared[2]["value"] is None
        assert len(cleared) == len(filled) == 10

    def test_what_goes_wrong_is_a_sentence(self, faces):
        shown = portrait_panel.examine(picture_of(40, 40))
        assert 'class="sadtalker-error">The picture is 40x40 pixels' in shown[3]
        faces.error = ZeroDivisionError("odd <b>thing</b>")
        shown = portrait_panel.examine(picture_of(512, 400))
        assert "odd &lt;b&gt;thing" in shown[3]
        assert shown[0] is None

    def test_a_page_older_than_its_server_is_reset(self):
        for step in (
            portrait_panel.point_by_hand,
            portrait_panel.undo_point,
            portrait_panel.leave_points,
            portrait_panel.zoom_in,
        ):
            assert step(None)[0] is None

    def test_two_people_do_not_meet(self, faces):
        faces.found = [face_at(150, 150, 100), face_at(400, 150, 80)]
        picture = picture_of(512, 400)
        mine, yours = (portrait_panel.examine(picture)[0] for _ in "ab")
        mine = portrait_panel.choose_face(mine, "2")[0]
        assert (
            portrait_panel.read([picture, yours, "1"]).options
            != portrait_panel.read([picture, mine, "2"]).options
        )
        assert yours.choice.number == 1

    def test_clicks_faster_than_their_answers_all_count(self, faces):
        picture = picture_of(512, 400)
        page = portrait_panel.examine(picture)[0]
        events = [SimpleNamespace(index=shown_point(page.choice, *point)) for point in FIVE]
        threads = [threading.Thread(target=portrait_panel.click_at, args=(page, event)) for event in events]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(page.choice.points) == 5

    def test_a_turned_photo_arrives_upright_and_alpha_is_kept(self, blocks, tmp_path):
        photo = Image.new("RGB", (100, 200), "white")
        photo.paste("red", (0, 0, 100, 50))  # red above
        turned = Image.Exif()
        turned[274] = 6  # stored on its side: to be turned clockwise when shown
        photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "photo.jpg", exif=turned, quality=95)
        arrived = submitted(blocks.panel.image, tmp_path / "photo.jpg")
        assert arrived.size == (100, 200)
        assert arrived.convert("RGB").getpixel((50, 20))[1] < 60, "the red is not above"
        assert find(arrived).base.shape[:2] == (200, 100)
        clear = Image.new("RGBA", (100, 100), (10, 20, 30, 0))
        clear.paste((200, 100, 50, 255), (20, 20, 80, 80))
        clear.save(tmp_path / "clear.png")
        arrived = submitted(blocks.panel.image, tmp_path / "clear.png")
        assert arrived.mode == "RGBA"
        assert [arrived.getpixel((x, 50))[3] for x in (5, 50)] == [0, 255]


def submitted(component, path):
    """What a listener gets when a person uploads that file."""
    if compat.GRADIO4:
        from gradio.components.image import FileData

        return component.preprocess(FileData(path=str(path), orig_name=path.name))
    data = base64.b64encode(path.read_bytes()).decode()
    return component.preprocess(f"data:image/{path.suffix[1:]};base64,{data}")
