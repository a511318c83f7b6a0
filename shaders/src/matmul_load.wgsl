        for (var i = local; i < DEEP * COLUMNS; i += 256u) {
            let column = select(i % COLUMNS, i / DEEP, B_TRANS);
            let p = select(i / COLUMNS, i % DEEP, B_TRANS);
            var value = 0.0;
            if left + column < n && start + p < k {
                value = b_at(block.z, b_start + select((start + p) * n + left + column, (left + column) * k + start + p, B_TRANS));
            }
            b_slice[p * B_ROW + column] = value;
        }
