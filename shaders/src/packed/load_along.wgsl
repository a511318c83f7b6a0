        for (var i = local; i < COLUMNS * DEEP / 8u; i += 256u) {
            // Eight terms of the sum for one column of outputs, which is a row of W.
            let column = i / (DEEP / 8u);
            let p = 8u * (i % (DEEP / 8u));
            var values = Eight();
            if left + column < n && start + p < k {
                values = eight(left + column, start + p);
            }
            for (var j = 0u; j < 4u; j++) {
                b_slice[(p + j) * B_ROW + column] = values.lo[j];
                b_slice[(p + 4u + j) * B_ROW + column] = values.hi[j];
            }
        }
