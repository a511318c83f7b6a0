//! Models from a hub: what was asked for, what came, and what was refused.

#![allow(
    rustdoc::bare_urls,
    reason = "a message is its own documentation, addresses in it included"
)]

use crate::message::messages;

messages! { "hub";
    NotAnId { name } = "'{name}' is not the name of a model on a hub", "'{name}' 不是模型仓库的名称";
    NameLikeThis =
        "Write ORG/NAME, for example HuggingFaceTB/SmolLM2-135M-Instruct; with @REVISION for another revision, and with :FILE for \
         one of several GGUF files, as in ORG/NAME:Q8_0.",
        "请写成 组织/名称，例如 HuggingFaceTB/SmolLM2-135M-Instruct；其他版本加 @版本；若有多个 GGUF 文件，用 :文件 指定其中一个，\
         如 ORG/NAME:Q8_0。";
    NotAnEndpoint { address } = "'{address}' is not the address of a hub", "'{address}' 不是模型仓库服务器的地址";
    EndpointLikeThis = "Write an address such as https://huggingface.co.", "请写成 https://huggingface.co 这样的地址。";
    NotReached { host, why } = "{host} could not be reached: {why}", "无法连接 {host}：{why}";
    CheckConnection =
        "Check the connection and the hub's address. In a browser, a hub has to allow other sites to read from it.",
        "请检查网络连接和服务器地址。在浏览器中，服务器还须允许其他网站读取。";
    BrokeOff { why } = "the download broke off: {why}", "下载中断：{why}";
    DownloadGoesOn = "The downloaded part is kept: download again to resume.", "已下载的部分会保留：再次下载即可继续。";
    NotAsPromised { host, what } = "{host} gave something else than it promised: {what}", "{host} 返回的内容与其声明不符：{what}";
    CheckEndpoint =
        "Check the hub's address. A network that asks for a login, or a mirror that is out of date, answers like this.",
        "请检查服务器地址。需要登录的网络或过期的镜像会有这样的回应。";
    NoCommit = "no commit for the revision", "没有给出版本对应的提交";
    ListGoesOnElsewhere = "a list of files that goes on at another host", "文件列表的后续部分在另一个服务器上";
    ListTooLong = "a list without end", "列表没有尽头";
    NoList { error, start } = "no list of files ({error}) but \"{start}\"", "不是文件列表（{error}），而是“{start}”";
    NoHash { path } = "no hash of {path}", "没有 {path} 的哈希值";
    OtherPart { stated, expected } = "\"{stated}\" in place of \"{expected}\"", "收到“{stated}”，而应为“{expected}”";
    NoParts = "files are not given in parts", "不支持分段下载";
    Shorter { left } = "{left} bytes are missing at the end", "末尾缺少 {left} 字节";
    Longer = "there is more of it than was asked for", "内容比请求的更多";
    ShardMissing { name } = "the index names {name}, which is not there", "索引中的 {name} 不存在";
    OtherHash { found } = "its SHA-256 is {found}, and the hub states another one", "其 SHA-256 为 {found}，与仓库声明的不同";
    OtherBlob { found } = "its git hash (SHA-1) is {found}, and the hub states another one",
        "其 git 哈希（SHA-1）为 {found}，与仓库声明的不同";
    DownloadOnceMore =
        "It was discarded; download it again. If that happens twice, a proxy on the way changes files.",
        "该文件已丢弃，请重新下载。如果再次出现，说明传输途中有环节改动了文件。";
    RateLimited { host, seconds } = "{host} accepts no more requests for {seconds} seconds", "{host} 在 {seconds} 秒内不再接受请求";
    WaitOrLogIn = "Wait a while and download again to resume; with a token the limits are higher.",
        "请稍候再下载，会从已有部分继续；使用令牌时限额更高。";
    WaitAndGoOn = "Wait a while and download again to resume.", "请稍候再下载，会从已有部分继续。";
    Gated { name } = "{name} is available only to accounts that accepted its terms", "{name} 只提供给接受了其条款的人";
    AcceptTerms { page } = "Accept them at {page} with the account of the token, and try again.",
        "请用该令牌的账号在 {page} 接受条款，然后重试。";
    AcceptTermsAndGiveToken { page } =
        "Accept them at {page}, make a token that may read, and give it here (natively in HF_TOKEN).",
        "请在 {page} 接受条款，创建有读取权限的令牌并在此填写（命令行用 HF_TOKEN）。";
    NoSuchRevision { name, revision } = "{name} has no revision {revision}", "{name} 没有版本 {revision}";
    LookForRevision { page } = "Look for its branches and tags at {page}.", "请在 {page} 查看其分支和标签。";
    NoSuchFile { name, file } = "{name} has no file {file}", "{name} 中没有文件 {file}";
    LookForFile { page } = "Look for its files at {page}.", "请在 {page} 查看其文件。";
    NoSuchRepository { name, host } = "{host} has no model {name}, or does not show it", "{host} 没有模型 {name}，或未公开";
    CheckName = "Check its name, and whether the token's account may see it.", "请检查名称，以及令牌的账号是否有权查看。";
    CheckNameOrGiveToken = "Check its name; a private model needs a token (natively HF_TOKEN).",
        "请检查名称；私有模型需要令牌（命令行用 HF_TOKEN）。";
    NotAllowed { name, host } = "{host} requires a login for {name}", "{host} 要求登录后才提供 {name}";
    GiveToken = "Give a token that may read it (natively in HF_TOKEN).", "请填写有读取权限的令牌（命令行用 HF_TOKEN）。";
    TokenRefused { host } = "{host} refused the token", "{host} 拒绝了该令牌";
    CheckToken = "Check the token: it may be mistyped, revoked, or without the right to read this model.",
        "请检查令牌：可能有误、已失效，或没有读取该模型的权限。";
    Answered { host, status, code } = "{host} answered {status} {code}", "{host} 返回 {status} {code}";
    FileHostRefused { host, status } = "{host}, where the files are, answered {status}", "存放文件的 {host} 返回 {status}";
    TryLater = "Try again later; the downloaded part is kept.", "请稍后重试；已下载的部分会保留。";
    LookForOther { name } =
        "Look for a conversion to safetensors or GGUF of {name}, often by another organisation on the same hub.",
        "请寻找 {name} 的 safetensors 或 GGUF 版本，同一仓库中常有其他组织提供。";
    NoModel { name, found } = "{name} holds no model that is read here (it has: {found})", "{name} 中没有可读取的模型（其中有：{found}）";
    NoGgufFiles { name } = "{name} has no GGUF files to choose from", "{name} 中没有可选的 GGUF 文件";
    NoSuchGguf { name, wanted, there } = "{name} has no GGUF file {wanted} (it has: {there})", "{name} 中没有 GGUF 文件 {wanted}（其中有：{there}）";
    IsAdapter { name } = "{name} is an adapter, not a model", "{name} 是适配器，不是模型";
    NameItsBase = "Name the model that it was trained on; natively the adapter goes to adapter_name_or_path.",
        "请填写训练它所用的模型；在命令行中适配器写在 adapter_name_or_path。";
    Cancelled = "the download was cancelled", "下载已取消";
    NoNetwork = "this engine has no network", "此引擎没有网络功能";
    NoMemory { bytes } = "there is no memory for {bytes} bytes", "内存不足以容纳 {bytes} 字节";
    SmallerOrWithStorage = "Choose a smaller model, or open the page outside of a private window, where it is stored on disk.",
        "请选择更小的模型，或在非隐私窗口中打开此页面，以便存入浏览器存储。";
    TooLargeForMemory { needed, most } =
        "without storage (as in a private window) the model would take {needed} MB of memory, and {most} MB is the most",
        "没有存储空间（如隐私窗口）时，模型将占用 {needed} MB 内存，最多允许 {most} MB";
    NoRoom { needed, free } = "{needed} MB remain to be downloaded, and the storage has {free} MB free",
        "还需下载 {needed} MB，而存储空间只剩 {free} MB";
    MakeRoom = "Delete stored models or runs, free space on the disk, or choose a smaller model.",
        "请删除已保存的模型或训练，清理磁盘空间，或选择更小的模型。";
    ToMemory = "This browser gives the page no storage here: the model goes to memory, and is gone when the page is closed.",
        "浏览器没有为此页面提供存储空间：模型将放在内存中，关闭页面后即消失。";
    OtherModelThere = "another model is stored under this name", "该名称下已保存了另一个模型";
    DeleteItFirst = "Delete it first.", "请先删除它。";
    ModelUnreadable { folder, why } = "A stored model, {folder}, cannot be read: {why}", "已保存的模型 {folder} 无法读取：{why}";
    NotStored { folder } = "the model {folder} is not stored any more", "模型 {folder} 已不在存储中";
    DownloadAnew = "Download it again, or choose another model.", "请重新下载，或选择其他模型。";
    NotWhole { id } = "{id} has not been downloaded completely", "{id} 尚未下载完整";
    IsBeingFetched = "is being fetched elsewhere", "正在别处下载";
    WaitForOtherTab = "Wait for the other tab, or cancel the download there.", "请等待另一个标签页，或在那里取消下载。";
    WaitForOtherProgram = "Wait for the other program, or end it.", "请等待另一个程序，或结束它。";
    BecameShorter = "became shorter in the meantime", "在此期间变短了";
    NoHome = "there is no home folder for the cache of models", "没有用于存放模型缓存的主目录";
    SetHfHome = "Set HF_HOME to a folder.", "请将 HF_HOME 设为一个文件夹。";
    NotCached { name } = "{name} is not in the cache, and HF_HUB_OFFLINE forbids to fetch it", "缓存中没有 {name}，而 HF_HUB_OFFLINE 禁止下载";
    UnsetOffline = "Unset HF_HUB_OFFLINE.", "请取消设置 HF_HUB_OFFLINE。";
    UsesCached { name, why } = "What was fetched of {name} earlier is used: {why}", "使用先前下载的 {name}：{why}";
}
