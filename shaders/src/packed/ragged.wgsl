
// Rows that do not start at a multiple of eight: number by number, zeros past the end of the row.
fn within(row: u32, column: u32) -> f32 {
    if column >= $SHAPES.w {
        return 0.0;
    }
    return one(row, column);
}

fn eight(row: u32, column: u32) -> Eight {
    return Eight(
        vec4<f32>(within(row, column), within(row, column + 1u), within(row, column + 2u), within(row, column + 3u)),
        vec4<f32>(
            within(row, column + 4u),
            within(row, column + 5u),
            within(row, column + 6u),
            within(row, column + 7u),
        ),
    );
}
