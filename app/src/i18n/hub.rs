//! The words about models from a hub.

use super::counted;

/// The words about a hub, in one language.
pub struct HubWords {
    /// The fold.
    pub title: &'static str,
    /// The field of the name.
    pub name: &'static str,
    /// Which host is asked, and when.
    pub host: fn(&str) -> String,
    /// The fold of address and token.
    pub more: &'static str,
    /// The field of the address.
    pub endpoint: &'static str,
    /// The field of the token.
    pub token: &'static str,
    /// The switch that keeps the token.
    pub keep_token: &'static str,
    /// Where the token goes.
    pub token_hint: &'static str,
    /// The button that asks this host.
    pub look: fn(&str) -> String,
    /// Ends what is under way.
    pub cancel: &'static str,
    /// The choice of a GGUF file.
    pub choose: &'static str,
    /// What it takes, how much is there, and what is free where that is known.
    pub room: fn(&str, &str, Option<&str>) -> String,
    /// It does not fit: what is still to be fetched, and what is free.
    pub no_room: fn(&str, &str) -> String,
    /// There is no storage.
    pub in_memory: &'static str,
    /// What a run takes at its peak, and where that is too much, what the device has.
    pub fit: fn(&str, Option<&str>) -> String,
    /// The button that fetches.
    pub download: &'static str,
    /// The button that goes on fetching.
    pub go_on: &'static str,
    /// Bytes that are there and all, bytes a second and seconds left where they are known.
    pub progress: fn([&str; 2], Option<&str>, Option<u64>) -> String,
    /// Title of the list: how many models, and what they take.
    pub stored: fn(usize, &str) -> String,
    /// Of a model that is not whole: what is there, and all.
    pub part: fn(&str, &str) -> String,
    /// Of a model that is being fetched.
    pub under_way: &'static str,
    /// The button that loads a stored model.
    pub use_it: &'static str,
}

/// The English words.
pub static ENGLISH: HubWords = HubWords {
    title: "Model from a hub",
    name: "Name",
    host: |host| {
        format!(
            "No request is sent before you press a button here. Then {host}, and hosts that it redirects to, see your IP address \
             and the name of the model."
        )
    },
    more: "Another hub, or a gated model",
    endpoint: "Address of the hub (or a mirror)",
    token: "Token",
    keep_token: "Keep the token in this browser",
    token_hint: "Only gated and private models need a token. It is sent only to the hub itself, and is forgotten when \
                 the page is closed, unless you keep it.",
    look: |host| format!("Ask {host} for its files"),
    cancel: "Cancel",
    choose: "GGUF file",
    room: |all, there, free| {
        let free = free.map(|free| format!("; {free} free")).unwrap_or_default();
        format!("{all} in total, {there} already stored{free}.")
    },
    no_room: |needed, free| {
        format!(
            "It does not fit: {needed} to download, {free} free. Delete stored items (below step 6), or choose a smaller file."
        )
    },
    in_memory: "This browser gives the page no storage here: the model goes to memory, and is gone when the page is closed.",
    fit: |peak, too_much| match too_much {
        None => format!("A run with the current settings takes about {peak} of memory."),
        Some(available) => {
            format!("A run with the current settings takes about {peak} of memory; {available} are available.")
        }
    },
    download: "Download",
    go_on: "Continue the download",
    progress: |[done, total], rate, left| {
        let rate = rate.map(|rate| format!(", {rate}/s")).unwrap_or_default();
        let left = left.map(|seconds| format!(", {}:{:02} left", seconds / 60, seconds % 60));
        format!("{done} of {total}{rate}{}", left.unwrap_or_default())
    },
    stored: |models, size| format!("{} ({size})", counted(models, "stored model")),
    part: |there, all| format!("{there} of {all}"),
    under_way: "is being downloaded",
    use_it: "Use",
};

/// The Chinese words.
pub static CHINESE: HubWords = HubWords {
    title: "从模型仓库获取",
    name: "名称",
    host: |host| {
        format!(
            "按下此处的按钮之前，不会向任何服务器发出请求。按下后将请求 {host} 及其转向的服务器，它们会看到你的地址和模型名称。"
        )
    },
    more: "其他仓库，或受限模型",
    endpoint: "仓库（或镜像）地址",
    token: "令牌",
    keep_token: "在此浏览器中保存令牌",
    token_hint: "只有受限和私有模型需要令牌。令牌只发送给仓库本身，不会发送给其他服务器；除非选择保存，关闭页面后即被遗忘。",
    look: |host| format!("向 {host} 查询文件"),
    cancel: "取消",
    choose: "GGUF 文件",
    room: |all, there, free| {
        let free = free.map(|free| format!("；剩余空间 {free}")).unwrap_or_default();
        format!("共 {all}，已保存 {there}{free}。")
    },
    no_room: |needed, free| {
        format!(
            "空间不足：还需下载 {needed}，剩余空间只有 {free}。请删除一些已保存的内容（见第 6 步下方），或选择更小的文件。"
        )
    },
    in_memory: "浏览器没有为此页面提供存储空间：模型将放在内存中，关闭页面后即消失。",
    fit: |peak, too_much| match too_much {
        None => format!("按当前设置，训练约需 {peak} 内存。"),
        Some(available) => format!("按当前设置，训练约需 {peak} 内存，而可用的只有 {available}。"),
    },
    download: "下载",
    go_on: "继续下载",
    progress: |[done, total], rate, left| {
        let rate = rate.map(|rate| format!("，{rate}/s")).unwrap_or_default();
        let left = left.map(|seconds| format!("，剩余 {}:{:02}", seconds / 60, seconds % 60));
        format!("{done} / {total}{rate}{}", left.unwrap_or_default())
    },
    stored: |models, size| format!("已保存的模型：{models} 个（{size}）"),
    part: |there, all| format!("{there} / {all}"),
    under_way: "正在下载",
    use_it: "使用",
};
