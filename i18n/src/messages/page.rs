//! The page and its worker: the engine's own coming and going, and files that come with the page.

use crate::message::messages;

messages! { "page";
    GpuLostGoesOn { step } =
        "The GPU was lost after step {step}; the run continues from its last checkpoint.",
        "第 {step} 步之后 GPU 已断开；训练从最近的检查点继续。";
    GpuLostStartsAnew { step } =
        "The GPU was lost after step {step}, and the run has no checkpoint to resume from: it starts from the beginning.",
        "第 {step} 步之后 GPU 已断开，而训练没有可以继续的检查点：训练从头重新开始。";
    TurnTaken =
        "Another tab has started to train. The run here was saved and stopped; continue it from the list of stored runs.",
        "另一个标签页已开始训练。这里的训练已保存并停止；可从已保存的训练列表中继续。";
    StorageFull = "the browser's storage is full", "浏览器存储空间已满";
    RemoveStoredRuns = "Delete stored runs, or free space on the disk.", "请删除已保存的训练，或清理磁盘空间。";
    StorageFailed { error } = "the browser's storage refused: {error}", "浏览器存储拒绝了操作：{error}";
    TryAgainLater = "Try again; in another tab of this page the same file may be in use.",
        "请重试；该文件可能正被此页面的另一个标签页使用。";
    EngineNotRunning = "the engine does not run", "引擎没有运行";
    NoModuleWorker = "this browser cannot start a module worker", "该浏览器不支持 module worker";
    CurrentBrowser = "Use a current Chrome, Edge, Firefox or Safari.", "请使用最新版的 Chrome、Edge、Firefox 或 Safari。";
    BrokeOff { error } = "the engine broke off ({error})", "引擎异常中止（{error}）";
    MemoryFull { error } = "the engine broke off ({error}), most likely because this tab's memory is full",
        "引擎异常中止（{error}），很可能是因为此标签页的内存已满";
    NestedTooDeep { error } = "the engine broke off ({error}), most likely because a file is nested too deeply",
        "引擎异常中止（{error}），很可能是因为文件嵌套过深";
    CodeNotLoaded { error } = "the engine's code could not be loaded: {error}", "无法加载引擎代码：{error}";
    NotLoaded = "the engine could not be loaded", "无法加载引擎";
    CommandNotPassed = "the browser did not pass the command on to the engine", "浏览器没有把命令传给引擎";
    NoText = "the engine sent a message without text", "引擎发来的消息没有内容";
    EventUnreadable { error } = "One message of the engine could not be read ({error}).", "无法读取引擎的一条消息（{error}）。";
    EventUnwritable { error } = "an event could not be written: {error}", "无法写出一个事件：{error}";
    CommandUnreadable { error } = "the engine does not understand the page ({error})", "引擎无法理解页面的命令（{error}）";
    NotFetched = "could not be fetched", "无法下载";
    ServerAnswered { status } = "could not be fetched: the server answered {status}", "无法下载：服务器返回 {status}";
    NoContents = "came without contents", "内容为空";
    FetchBrokeOff = "broke off while it was fetched", "下载中断";
    LinkNamesModel { file } = "The link names the model {file}, which does not come with the page: choose it in step 2.",
        "链接指定的模型 {file} 不是本页面自带的：请在第 2 步中选择。";
    LinkNamesData { file } = "The link names the data {file}, which does not come with the page: choose it in step 3.",
        "链接指定的数据 {file} 不是本页面自带的：请在第 3 步中选择。";
    LinkValueUnknown { value } = "the link has the value '{value}', which is not known", "链接中的值 '{value}' 无法识别";
    LessonsNotFetched = "The link names a lesson, and the list of lessons could not be fetched.",
        "链接指定了一节课，但无法获取课程列表。";
    CheckConnection = "Check the connection to the page's server and reload the page.", "请检查与服务器的连接，然后刷新页面。";
    NotOfPage = "is not a file that comes with the page", "不是本页面自带的文件";
    NotWritten { error } = "what was trained could not be written ({error})", "无法写出训练结果（{error}）";
    WriteElsewhere = "Free space on the disk, or choose another place.", "请清理磁盘空间，或选择其他位置。";
    TooLargeForZip = "is larger than the 4 GiB that a file of a zip archive may have", "超过了 zip 压缩包中单个文件 4 GiB 的上限";
    FileGone = "cannot be read any more; it was moved, changed or deleted after it was chosen",
        "无法再读取：文件在选择之后被移动、修改或删除";
    ChooseAgain = "Choose the file again.", "请重新选择该文件。";
    NotOpened { error } = "could not be opened: {error}", "无法打开：{error}";
}
