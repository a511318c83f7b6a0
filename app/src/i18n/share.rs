//! The words about sharing: a link, a frame, a lesson as an element; what came with a link.

use lorakeet_core::protocol::DeviceKind;

/// The words about sharing, in one language.
pub struct ShareWords {
    /// Name of the panel.
    pub title: &'static str,
    /// Label of the choice between the page and the lessons.
    pub what: &'static str,
    /// The page.
    pub this_page: &'static str,
    /// A lesson by its title.
    pub lesson: fn(&str) -> String,
    /// The checkbox.
    pub results: &'static str,
    /// What is in them.
    pub results_hint: &'static str,
    /// Name of the link's field.
    pub link: &'static str,
    /// What is in the link to the page and what is not.
    pub link_hint: &'static str,
    /// What is in the link to a lesson.
    pub lesson_link_hint: &'static str,
    /// Name of the frame's field.
    pub frame: &'static str,
    /// What the frame shows of the page.
    pub frame_hint: &'static str,
    /// What it shows of a lesson.
    pub lesson_frame_hint: &'static str,
    /// Title of the page's frame.
    pub frame_title: &'static str,
    /// Name of the element's field.
    pub element: &'static str,
    /// Why the page has none.
    pub element_none: &'static str,
    /// What it needs.
    pub element_hint: &'static str,
    /// Name of a button that copies a field, by the field's name.
    pub copy_what: fn(&str) -> String,
    /// Told once something was copied, by its name.
    pub copied: fn(&str) -> String,
    /// The browser did not copy.
    pub not_copied: &'static str,
    /// Closes the panel.
    pub close: &'static str,

    /// The page was opened with a lesson's link: its title.
    pub offer: fn(&str) -> String,
    /// What was taken of it here.
    pub offer_hint: &'static str,
    /// Opens the lesson.
    pub open_lesson: &'static str,
    /// From a frame to the whole page.
    pub whole_page: &'static str,
    /// Results that came with the link: what they ran on.
    pub shown: fn(DeviceKind) -> String,
}

/// What a device is called in both languages.
fn short(device: DeviceKind) -> &'static str {
    match device {
        DeviceKind::Cpu => "CPU",
        DeviceKind::Gpu => "GPU",
    }
}

/// The English words.
pub static ENGLISH: ShareWords = ShareWords {
    title: "Share",
    what: "What to share",
    this_page: "This page as it is now",
    lesson: |title| format!("Lesson: {title}"),
    results: "Include the results of the last run",
    results_hint: "Loss curve, validation losses, scores and the text before and after (shortened where it is long). The adapter is not included.",
    link: "Link",
    link_hint: "Opens this page with the same task, model, data, settings, prompt, language and theme. Your own files are not in it, only their names.",
    lesson_link_hint: "Opens the lesson on a page of its own. Settings that you changed here are filled in where the lesson lets the reader change them.",
    frame: "Frame (iframe)",
    frame_hint: "Shows the training step of this page inside another page, with the same settings. Your own files are not in it.",
    lesson_frame_hint: "Shows the lesson inside another page, also where no scripts are allowed.",
    frame_title: "Lorakeet: fine-tune a small language model",
    element: "HTML element (lorakeet-lab)",
    element_none: "The element shows lessons. Choose a lesson above, or use the frame to show this page.",
    element_hint: "Adapts its height, reports events to the page around it, and loads nothing but lab.js before Start is pressed.",
    copy_what: |what| format!("Copy: {what}"),
    copied: |what| format!("Copied: {what}"),
    not_copied: "The browser did not allow copying. Select the text and copy it.",
    close: "Close",

    offer: |title| format!("This link is for the lesson “{title}”"),
    offer_hint: "Its settings were filled in here as well.",
    open_lesson: "Open the lesson",
    whole_page: "Open the full page",
    shown: |device| {
        let device = short(device);
        format!("These are the results of a shared run, trained on a {device}. Train runs it again in your browser.")
    },
};

/// 中文文案。
pub static CHINESE: ShareWords = ShareWords {
    title: "分享",
    what: "分享内容",
    this_page: "当前页面",
    lesson: |title| format!("课程：{title}"),
    results: "包含最近一次训练的结果",
    results_hint: "损失曲线、验证损失、评分，以及训练前后的文本（过长时会截断）。不包含适配器。",
    link: "链接",
    link_hint: "打开后任务、模型、数据、设置、提示词、语言和外观都与现在相同。链接中不含你自己的文件，只有文件名。",
    lesson_link_hint: "在单独的页面中打开课程。课程允许修改的设置，会填入你在这里改过的值。",
    frame: "内嵌框架（iframe）",
    frame_hint: "在其他网页中显示本页的训练步骤，设置相同。不含你自己的文件。",
    lesson_frame_hint: "在其他网页中显示课程，不允许使用脚本的平台也可以用。",
    frame_title: "Lorakeet：微调小语言模型",
    element: "HTML 元素（lorakeet-lab）",
    element_none: "该元素用于显示课程。请在上方选择一节课，或用内嵌框架显示本页。",
    element_hint: "高度自动适应，会向所在网页发送事件；按下“开始”之前只加载 lab.js。",
    copy_what: |what| format!("复制：{what}"),
    copied: |what| format!("已复制：{what}"),
    not_copied: "浏览器不允许复制。请选中文本后手动复制。",
    close: "关闭",

    offer: |title| format!("此链接对应课程“{title}”"),
    offer_hint: "其中的设置也已填入本页。",
    open_lesson: "打开课程",
    whole_page: "打开完整页面",
    shown: |device| {
        let device = short(device);
        format!("以下是他人分享的训练结果，在 {device} 上训练得到。点击“训练”可在你的浏览器中重新训练。")
    },
};
