// Rows of several segments: the mask holds, for each token, the place of its segment's first token counted from 1, and 0 on padding.
fn segment_of(example: u32, token: u32) -> f32 {
    return $MASK;
}

// Of the keys that queries first to last see, those from the first one's segment on.
fn key_span_of_segments(example: u32, first: u32, last: u32) -> vec2<u32> {
    let span = key_span(first, last);
    let begin = u32(max(segment_of(example, first), 1.0)) - 1u;
    return vec2<u32>(max(span.x, begin), span.y);
}

// Of the queries that see keys first to last, those up to the end of the last one's segment.
fn query_span_of_segments(example: u32, first: u32, last: u32) -> vec2<u32> {
    let span = query_span(first, last);
    let own = segment_of(example, last);
    // The queries of that segment come before all others.
    var low = last + 1u;
    var high = span.y;
    while low < high {
        let middle = (low + high) / 2u;
        if own != 0.0 && segment_of(example, middle) == own {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return vec2<u32>(span.x, min(low, span.y));
}
