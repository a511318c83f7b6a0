    for (var first = 0u; first < $RANK; first += 8u) {
        // Rows of A past the last are read as the last, and their sums are not stored.
        let last = $RANK - 1u;
        let r0 = min(first, last) * width;
        let r1 = min(first + 1u, last) * width;
        let r2 = min(first + 2u, last) * width;
        let r3 = min(first + 3u, last) * width;
        let r4 = min(first + 4u, last) * width;
        let r5 = min(first + 5u, last) * width;
        let r6 = min(first + 6u, last) * width;
        let r7 = min(first + 7u, last) * width;
        var lo = vec4<f32>(0.0);
        var hi = vec4<f32>(0.0);
        // Each invocation reads what it has written.
        for (var j = lane; j < width; j += LANES) {
            let value = y[start + j];
            lo += value * vec4<f32>($A[r0 + j], $A[r1 + j], $A[r2 + j], $A[r3 + j]);
            hi += value * vec4<f32>($A[r4 + j], $A[r5 + j], $A[r6 + j], $A[r7 + j]);
        }
        put_eight(rows * ($BEFORE) + row * $RANK + first, $RANK - first, lo, hi, lane);
    }
