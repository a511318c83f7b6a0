        for (var i = local; i < DEEP * COLUMNS / 8u; i += 256u) {
            // Eight columns of outputs for one term of the sum, which is a row of W.
            let p = i / (COLUMNS / 8u);
            let column = 8u * (i % (COLUMNS / 8u));
            var values = Eight();
            if left + column < n && start + p < k {
                values = eight(start + p, left + column);
            }
            for (var j = 0u; j < 4u; j++) {
                b_slice[p * B_ROW + column + j] = values.lo[j];
                b_slice[p * B_ROW + column + 4u + j] = values.hi[j];
            }
        }
