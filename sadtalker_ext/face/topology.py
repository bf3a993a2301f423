"""Names for the points of the 478-point face mesh: which index is which part of the face.

LEFT and RIGHT are the person's own (as in ARKit's `eyeBlinkLeft`): the person's right eye is on the
left side of the picture. Every open contour runs from the picture's left to its right on an upright
face; closed contours run clockwise as the viewer sees them.
"""

from __future__ import annotations

MESH_POINTS = 478  # 468 of the skin, then 5 of each iris
SKIN_POINTS = 468

# Single points.
FOREHEAD = 10  # top of the face oval
CHIN = 152
RIGHT_CHEEK = 234  # at ear level; with LEFT_CHEEK it spans the face width, the unit of lip distances
LEFT_CHEEK = 454
NOSE_TIP = 4
NOSE_BRIDGE = 168  # between the eyes
NOSE_BOTTOM = 2
MOUTH_RIGHT = 61  # outer mouth corners
MOUTH_LEFT = 291
LOWER_LIP_OUTER = 17

# Lips: each from the corner on the picture's left to the corner on its right.
LIPS_OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIPS_OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LIPS_INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LIPS_INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LIPS_OUTER = LIPS_OUTER_UPPER + LIPS_OUTER_LOWER[-2:0:-1]
LIPS_INNER = LIPS_INNER_UPPER + LIPS_INNER_LOWER[-2:0:-1]
# Rings between the outer and the inner contour of each lip (the red of the lips has four rings).
LIPS_UPPER_RINGS = (
    LIPS_OUTER_UPPER,
    (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292),
    LIPS_INNER_UPPER,
)
LIPS_LOWER_RINGS = (
    LIPS_OUTER_LOWER,
    (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306),
    (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292),
    LIPS_INNER_LOWER,
)
LIPS = tuple(sorted({point for ring in LIPS_UPPER_RINGS + LIPS_LOWER_RINGS for point in ring}))

# Eyes: lids from corner to corner.
RIGHT_EYE_UPPER = (33, 246, 161, 160, 159, 158, 157, 173, 133)
RIGHT_EYE_LOWER = (33, 7, 163, 144, 145, 153, 154, 155, 133)
LEFT_EYE_UPPER = (362, 398, 384, 385, 386, 387, 388, 466, 263)
LEFT_EYE_LOWER = (362, 382, 381, 380, 374, 373, 390, 249, 263)
RIGHT_EYE = RIGHT_EYE_UPPER + RIGHT_EYE_LOWER[-2:0:-1]
LEFT_EYE = LEFT_EYE_UPPER + LEFT_EYE_LOWER[-2:0:-1]
RIGHT_EYE_OUTER, RIGHT_EYE_INNER = 33, 133
LEFT_EYE_INNER, LEFT_EYE_OUTER = 362, 263
# Vertical lid pairs (upper, lower) over the middle of each eye.
RIGHT_LID_PAIRS = ((160, 144), (159, 145), (158, 153))
LEFT_LID_PAIRS = ((385, 380), (386, 374), (387, 373))

# Irises: the centre, then four points of the rim.
RIGHT_IRIS_CENTRE, RIGHT_IRIS_RIM = 468, (469, 470, 471, 472)
LEFT_IRIS_CENTRE, LEFT_IRIS_RIM = 473, (474, 475, 476, 477)

# Brows.
RIGHT_BROW_UPPER = (70, 63, 105, 66, 107)
RIGHT_BROW_LOWER = (46, 53, 52, 65, 55)
LEFT_BROW_UPPER = (336, 296, 334, 293, 300)
LEFT_BROW_LOWER = (285, 295, 282, 283, 276)
RIGHT_BROW = RIGHT_BROW_UPPER + RIGHT_BROW_LOWER
LEFT_BROW = LEFT_BROW_UPPER + LEFT_BROW_LOWER

# The outline of the face, clockwise from the forehead.
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
JAW = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152,
       377, 400, 378, 379, 365, 397, 288, 361, 323, 454)  # fmt: skip

# Points that speech and blinks do not move: forehead, temples, bridge and eye corners. Head pose is
# read from these, so that an opening jaw is not mistaken for a nod.
RIGID = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 234, 127, 162, 21, 54, 103, 67, 109,
    151, 9, 8, 168, 6, 197, 195, 33, 133, 362, 263, 108, 337, 69, 299, 104, 333, 68, 298,
    71, 301, 139, 368, 34, 264, 143, 372, 111, 340, 116, 345, 193, 417, 122, 351, 245, 465,
)  # fmt: skip

# The five points a person can give by hand, in their order: the middles of the eye on the picture's
# left and of the one on its right, the nose tip, the mouth corner on the left and the one on the right.
# Each is the mean of the mesh points listed.
FIVE_POINTS = (
    (RIGHT_EYE_OUTER, RIGHT_EYE_INNER),
    (LEFT_EYE_INNER, LEFT_EYE_OUTER),
    (NOSE_TIP,),
    (MOUTH_RIGHT,),
    (MOUTH_LEFT,),
)

# Mesh points nearest to the 68 points of the iBUG markup (jaw 17, brows 10, nose 9, eyes 12, lips 20).
IBUG_68 = (
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
