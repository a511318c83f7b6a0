//! The words about what is stored in the browser.

use super::counted;

/// The words about storage, in one language.
pub struct StorageWords {
    /// Title of the fold: what all of it takes.
    pub title: fn(&str) -> String,
    /// What the site takes, and may take.
    pub room: fn(&str, &str) -> String,
    /// Whether the browser leaves it alone when the disk gets full.
    pub stays: fn(bool) -> &'static str,
    /// There is no storage.
    pub none: &'static str,
    /// Title of the list of copies: how many, and what they take.
    pub files: fn(usize, &str) -> String,
    /// Of a copy: how many runs need it.
    pub needed_by: fn(usize) -> String,
    /// The name of a copy that nobody needs.
    pub nameless: &'static str,
    /// Something of this name was removed.
    pub deleted: fn(&str) -> String,
    /// The button that removes all, which asks first.
    pub free_all: &'static str,
    /// What it asks: so much is removed.
    pub sure: fn(&str) -> String,
    /// The button that removes it then.
    pub free_now: fn(&str) -> String,
}

/// The English words.
pub static ENGLISH: StorageWords = StorageWords {
    title: |size| format!("Stored in this browser: {size}"),
    room: |used, quota| format!("With the page itself, this site uses {used} of its quota of {quota}."),
    stays: |stays| match stays {
        true => "The browser keeps it until you delete it.",
        false => "The browser may clear it when the disk gets full.",
    },
    none: "This browser gives the page no storage here (a private window, say): runs and models are gone when the page is closed, and \
           no run can be continued.",
    files: |files, size| match files {
        1 => format!("1 copy of a file ({size})"),
        files => format!("{files} copies of files ({size})"),
    },
    needed_by: |runs| match runs {
        0 => "needed by no run".to_owned(),
        runs => format!("needed by {}", counted(runs, "run")),
    },
    nameless: "A file",
    deleted: |name| format!("Deleted: {name}."),
    free_all: "Free everything",
    sure: |size| format!("All stored runs, models and copies of files are deleted for good: {size}."),
    free_now: |size| format!("Delete {size}"),
};

/// The Chinese words.
pub static CHINESE: StorageWords = StorageWords {
    title: |size| format!("此浏览器中已保存：{size}"),
    room: |used, quota| format!("连同页面本身，此网站占用 {used}，浏览器最多允许 {quota}。"),
    stays: |stays| match stays {
        true => "浏览器会一直保留这些内容，直到你删除。",
        false => "磁盘空间不足时，浏览器可能会清除这些内容。",
    },
    none: "浏览器在此不提供存储（例如隐私窗口）：关闭页面后训练和模型都会消失，训练无法继续。",
    files: |files, size| format!("文件副本：{files} 个（{size}）"),
    needed_by: |runs| match runs {
        0 => "没有训练需要".to_owned(),
        runs => format!("{runs} 个训练需要"),
    },
    nameless: "文件",
    deleted: |name| format!("已删除：{name}。"),
    free_all: "全部清空",
    sure: |size| format!("所有已保存的训练、模型和文件副本将被永久删除：{size}。"),
    free_now: |size| format!("删除 {size}"),
};
