//! What more than one part of the engine says.

use crate::message::messages;

messages! { "common";
    Line { line } = "line {line}", "第 {line} 行";
    Row { row } = "row {row}", "第 {row} 行";
    Within { outer, inner } = "{outer}, {inner}", "{outer}，{inner}";
    At { place, what } = "{place}: {what}", "{place}：{what}";
    Sentence { clause } = "{clause}.", "{clause}。";
    Both { first, second } = "{first} {second}", "{first}{second}";
    AndMore { names, more } = "{names} and {more} more", "{names}等，另有 {more} 个";
    Term { term, what } = "term {term}: {what}", "第 {term} 项：{what}";
    DidYouMean { name } = "Did you mean {name}?", "是否想写 {name}？";
    KeepOne = "Keep one of the two.", "请只保留其中一个。";
    TrueOrFalse = "true or false", "布尔值 true 或 false";
    Nothing = "nothing", "空值";
    IsMissing = "is missing", "缺失";
    NotFinite { got } = "must be a finite number, got {got}", "必须是有限的数，实际为 {got}";
    NotAboveZero { got } = "must be above 0, got {got}", "必须大于 0，实际为 {got}";
    NotFromOneTo { most, got } = "must be from 1 to {most}, got {got}", "必须在 1 到 {most} 之间，实际为 {got}";
    NotShare { got } = "must be at least 0 and below 1, got {got}", "必须不小于 0 且小于 1，实际为 {got}";
    NotANumber { text } = "{text} is not a number", "{text} 不是数字";
    NotJsonObject = "is not a JSON object", "不是 JSON 对象";
    TooLargeForMachine = "is too large for this machine", "太大，本机无法处理";
    EndsEarly { end, wanted, from } = "ends at byte {end}, but {wanted} bytes were wanted from byte {from} on",
        "在第 {end} 字节处结束，但需要从第 {from} 字节起读取 {wanted} 字节";
    FileIncomplete = "The file is incomplete: download or copy it again.", "文件不完整：请重新下载或复制。";
}
