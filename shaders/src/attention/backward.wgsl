// L and δ of a query's row.
fn notes_of(example: u32, head: u32, query: u32) -> vec2<f32> {
    if query >= info[0].x {
        return vec2<f32>(0.0);
    }
    let place = row_place(example, head, query);
    return vec2<f32>(notes[place], notes[place + info[1].z * info[0].x * info[0].z]);
}

// P of a score s, and the gradient of the product that s was made of.
fn gradient(s: f32, dp: f32, note: vec2<f32>) -> vec2<f32> {
    var slope = bitcast<f32>(info[2].x);
    let cap = bitcast<f32>(info[2].y);
    if cap > 0.0 {
        slope *= 1.0 - (s / cap) * (s / cap);
    }
    let p = exp(s - note.x);
    return vec2<f32>(p, p * (dp - note.y) * slope);
}

