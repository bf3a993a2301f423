// The SadTalker tab in the browser: progress, live preview, restoring after a reload, links to finished videos.
// Works in WebUIs (whose helpers are used where they exist) and on a page of `sadtalker serve`.

const sadtalkerTaskKey = "sadtalker_task_id";
const sadtalkerPoll = 500; // milliseconds between two questions about progress
const sadtalkerPatience = 40; // seconds a task may be unknown to the server before the bar goes
let sadtalkerTask = null; // the id of the task shown now
let sadtalkerLast = ""; // the id of the task that this page picked up after a reload
let sadtalkerCleared = false; // whether the message of an earlier task has gone since this one was begun

function sadtalkerRoot() {
    if (typeof gradioApp === "function") return gradioApp();
    const app = document.querySelector("gradio-app");
    return (app && app.shadowRoot) || document;
}

function sadtalkerFind(id) {
    return sadtalkerRoot().querySelector("#" + id);
}

/** The button itself, whether gradio gave the id to it or to something around it. */
function sadtalkerButton(id) {
    const found = sadtalkerFind(id);
    return found && (found.matches("button") ? found : found.querySelector("button"));
}

// --- Running -------------------------------------------------------------------------------------------------

/** Called by Generate before its inputs go to the server: the first becomes the id of a new task. */
function sadtalkerSubmit(...args) {
    const task =
        typeof randomId === "function"
            ? randomId()
            : `task(${Array.from({ length: 15 }, () => Math.floor(Math.random() * 36).toString(36)).join("")})`;
    sadtalkerRemember(task);
    sadtalkerWatch(task);
    args[0] = task;
    return args;
}

/** The task whose video the hidden button "show the latest" is to show. */
function sadtalkerLatestTask() {
    return sadtalkerLast;
}

function sadtalkerRemember(task) {
    try {
        if (task) localStorage.setItem(sadtalkerTaskKey, task);
        else localStorage.removeItem(sadtalkerTaskKey);
    } catch {
        // Storage may be forbidden; then a reloaded page does not find its task again.
    }
}

function sadtalkerRecall() {
    try {
        return localStorage.getItem(sadtalkerTaskKey);
    } catch {
        return null;
    }
}

/** Generate gives way to Interrupt, as in the host's own tabs. */
function sadtalkerShowRunning(running) {
    const generate = sadtalkerButton("sadtalker_generate");
    const interrupt = sadtalkerButton("sadtalker_interrupt");
    if (interrupt) interrupt.style.display = running ? "block" : "none";
    if (generate) generate.style.display = running ? "none" : "";
}

function sadtalkerWatch(task, atEnd) {
    sadtalkerClear();
    sadtalkerTask = task;
    sadtalkerCleared = !sadtalkerMessage();
    sadtalkerShowRunning(true);
    const bar = sadtalkerPlace("sadtalker_progress", "sadtalker-bar-place");
    const preview = sadtalkerPlace("sadtalker_preview", "sadtalker-preview-place");
    const ended = () => {
        for (const box of [bar, preview]) if (box) box.remove();
        if (sadtalkerTask !== task) return;
        sadtalkerEnd();
        if (atEnd) atEnd();
    };
    if (!bar) return;
    if (typeof requestProgress === "function") {
        const anchor = bar.appendChild(document.createElement("span"));
        requestProgress(task, anchor, preview && preview.appendChild(document.createElement("div")), ended);
    } else {
        sadtalkerFollow(task, bar, preview, ended);
    }
}

/** An empty box of ours inside a container of the tab, so that nothing gradio draws is touched. */
function sadtalkerPlace(id, name) {
    const container = sadtalkerFind(id);
    if (!container) return null;
    const box = document.createElement("div");
    box.className = name;
    return container.appendChild(box);
}

function sadtalkerClear() {
    for (const box of sadtalkerRoot().querySelectorAll(".sadtalker-bar-place, .sadtalker-preview-place")) {
        box.remove(); // whole: the host's own loop may write into it for a while
    }
}

function sadtalkerEnd() {
    sadtalkerTask = null;
    sadtalkerRemember(null);
    sadtalkerClear();
    sadtalkerShowRunning(false);
}

/** The sentence shown about the last run, or null. */
function sadtalkerMessage() {
    const place = sadtalkerFind("sadtalker_message");
    return place && place.querySelector(".sadtalker-error, .sadtalker-note, .sadtalker-done");
}

/** A sentence means that the server has answered; the task may never have begun, which no bar would tell. */
async function sadtalkerNoticeAnswer() {
    const task = sadtalkerTask;
    if (!task) return;
    if (!sadtalkerMessage()) {
        sadtalkerCleared = true;
        return;
    }
    if (!sadtalkerCleared) return;
    try {
        const state = await sadtalkerAsk(task, null);
        if (sadtalkerTask === task && !state.active && !state.queued) sadtalkerEnd();
    } catch {
        // The bar says so if the server is gone.
    }
}

// --- Progress where no host shows it -------------------------------------------------------------------------

async function sadtalkerAsk(task, lastPreview) {
    const hosted = typeof requestProgress === "function";
    const answer = await fetch(hosted ? "./internal/progress" : "./sadtalker/internal/progress", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
            id_task: task,
            id_live_preview: lastPreview === null ? -1 : lastPreview, // hosts refuse null
            live_preview: lastPreview !== null,
        }),
    });
    if (!answer.ok) throw new Error(`progress: ${answer.status}`);
    return answer.json();
}

function sadtalkerSeconds(seconds) {
    const whole = Math.max(0, Math.round(seconds));
    return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

async function sadtalkerFollow(task, bar, preview, ended) {
    const begun = Date.now();
    const line = document.createElement("div");
    const fill = document.createElement("div");
    const text = document.createElement("span");
    line.className = "sadtalker-bar";
    line.setAttribute("role", "progressbar");
    fill.className = "sadtalker-bar-fill";
    text.className = "sadtalker-bar-text";
    line.append(fill, text);
    bar.append(line);
    let picture = null;
    let lastPreview = 0;
    let active = false;
    let failures = 0;
    while (sadtalkerTask === task) {
        let state;
        try {
            state = await sadtalkerAsk(task, lastPreview);
            failures = 0;
        } catch {
            failures += 1;
            text.textContent = "The server does not answer …";
            if (failures * sadtalkerPoll > sadtalkerPatience * 1000) break;
            await new Promise((wake) => setTimeout(wake, sadtalkerPoll));
            continue;
        }
        if (sadtalkerTask !== task) break;
        active = active || state.active;
        const waited = (Date.now() - begun) / 1000;
        if (state.completed || (active && !state.active)) break;
        if (!state.active && !state.queued && waited > sadtalkerPatience) break;
        const percent = Math.round((state.progress || 0) * 100);
        const parts = [state.textinfo || "Waiting …"];
        if (percent > 0) parts.push(`${percent} %`);
        if (state.eta) parts.push(`${sadtalkerSeconds(state.eta)} left`);
        fill.style.width = `${percent}%`;
        text.textContent = parts.join(" · ");
        line.setAttribute("aria-valuenow", percent);
        line.setAttribute("aria-valuetext", text.textContent);
        if (state.live_preview && preview) {
            lastPreview = state.id_live_preview;
            picture = picture || preview.appendChild(new Image());
            picture.alt = "Live preview";
            picture.className = "sadtalker-live";
            picture.src = state.live_preview;
        }
        await new Promise((wake) => setTimeout(wake, sadtalkerPoll));
    }
    ended();
}

// --- After a reload ------------------------------------------------------------------------------------------

/** Picks up the task that this page was watching before it was reloaded. */
async function sadtalkerRestore() {
    const task = sadtalkerRecall();
    const until = Date.now() + sadtalkerPatience * 1000;
    let state = null;
    while (task && !sadtalkerTask && !state && Date.now() < until) {
        try {
            state = await sadtalkerAsk(task, null);
        } catch {
            await new Promise((wake) => setTimeout(wake, sadtalkerPoll)); // the server may be busy or starting
        }
    }
    if (!state || sadtalkerTask) return;
    sadtalkerLast = task;
    if (state.active || state.queued) {
        sadtalkerWatch(task, sadtalkerShowLatest);
    } else {
        sadtalkerRemember(null);
        if (state.completed) sadtalkerShowLatest();
    }
}

function sadtalkerShowLatest() {
    const button = sadtalkerButton("sadtalker_show_latest");
    if (button) button.click();
}

// --- The tab -------------------------------------------------------------------------------------------------

/** Opens the tab; hosts call it after "Send to SadTalker", and hand its arguments on. */
function switch_to_sadtalker(...args) {
    const root = sadtalkerRoot();
    const tab = root.querySelector("#tab_sadtalker");
    const tabs = tab && tab.parentElement;
    if (tabs) {
        const buttons = Array.from(tabs.querySelectorAll(":scope > .tab-nav button, :scope > [role=tablist] button"));
        const pages = Array.from(tabs.querySelectorAll(":scope > [id^=tab_]"));
        const button =
            root.querySelector("#tab_sadtalker-button") ||
            buttons.find((one) => one.textContent.trim() === "SadTalker") ||
            buttons[pages.indexOf(tab)];
        if (button) button.click();
    }
    return args;
}

/** The file's address where the page may read it; slashes stay, everything else is escaped. */
function sadtalkerFileAddress(path) {
    return "./file=" + path.trim().replaceAll("\\", "/").split("/").map(encodeURIComponent).join("/");
}

/** Makes links of the lines "SadTalker video: PATH" that hosts show under a gallery; the tab shows the last. */
function sadtalkerLinkVideos() {
    let made = false;
    for (const place of sadtalkerRoot().querySelectorAll("[id^=html_info_], [id^=html_log_]")) {
        if (!place.textContent.includes("SadTalker video:")) continue;
        const lines = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
        const found = [];
        while (lines.nextNode()) {
            const line = lines.currentNode;
            if (/SadTalker video:\s*\S/.test(line.data) && !line.parentElement.closest("a")) found.push(line);
        }
        for (const line of found) {
            const [before, path] = line.data.split(/SadTalker video:/, 2);
            const link = document.createElement("a");
            link.href = sadtalkerFileAddress(path);
            link.target = "_blank";
            link.rel = "noopener";
            link.className = "sadtalker-video-link";
            link.textContent = path.trim();
            line.replaceWith(before + "SadTalker video: ", link);
            made = true;
        }
    }
    if (made && !sadtalkerTask) {
        sadtalkerLast = ""; // the newest of all, not of this page's tasks
        sadtalkerShowLatest();
    }
}

// Ctrl+Enter is a host's to handle; on a page of our own it is handled here.
document.addEventListener("keydown", (event) => {
    if (typeof get_uiCurrentTabContent === "function") return;
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const button = sadtalkerButton(sadtalkerTask ? "sadtalker_interrupt" : "sadtalker_generate");
    if (!button) return;
    event.preventDefault();
    button.click();
});

function sadtalkerStart() {
    let restored = false;
    let pending = null;
    let observed = null;
    const look = () => {
        pending = null;
        sadtalkerLinkVideos();
        const message = sadtalkerFind("sadtalker_message");
        if (message && message !== observed) {
            observed = message;
            new MutationObserver(sadtalkerNoticeAnswer).observe(message, { childList: true, subtree: true });
        }
        if (restored || !sadtalkerFind("sadtalker_generate")) return;
        restored = true;
        sadtalkerRestore();
    };
    const later = () => {
        if (pending === null) pending = setTimeout(look, 200);
    };
    if (typeof onAfterUiUpdate === "function") onAfterUiUpdate(look);
    else new MutationObserver(later).observe(sadtalkerRoot(), { childList: true, subtree: true });
    later();
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", sadtalkerStart);
else sadtalkerStart();
