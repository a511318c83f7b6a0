// Tiles on a GPU: a workgroup of 16 × 16 computes ROWS × 32 scores, of rows y, y + 16, … and columns 2x, 2x + 1 of each, from
// slices of sixteen of both sides' rows; then it mixes the columns' rows by what it made of the scores.
const TALL: u32 = $TALLu;
const ROWS: u32 = 16u * TALL;
// Vectors a row of a slice, against bank conflicts.
const STEP: u32 = 5u;

// Slices of both sides, or a part of the columns' rows, or what invocations tell each other.
var<workgroup> scratch: array<vec4<f32>, 512>;
// Of each row and pair of columns what the columns' rows are mixed by.
var<workgroup> shares: array<vec2<f32>, ROWS * 16u>;

