//! The command `lorakeet`: its arguments, its output folder, its log.

use crate::message::messages;

messages! { "command";
    KeyValue { got } = "must have the form KEY=VALUE, got {got}", "必须写成 KEY=VALUE 的形式，收到了 {got}";
    ForExample = "For example --set learning_rate=1e-4.", "例如 --set learning_rate=1e-4。";
    CannotListen { error } = "cannot listen for Ctrl-C: {error}", "无法监听 Ctrl-C：{error}";
    CannotRead { error } = "cannot read: {error}", "无法读取：{error}";
    CannotWrite { error } = "cannot write: {error}", "无法写入：{error}";
    CannotOpen { error } = "cannot open: {error}", "无法打开：{error}";
    StandardOutput { error } = "standard output cannot be written: {error}", "无法写入标准输出：{error}";
    LogIsLink = "is a link, and the log would be written over what it leads to", "是一个链接，日志会覆盖它所指向的文件";
    RemoveLink = "Remove the link, or choose another output_dir.", "请删除该链接，或换一个 output_dir。";
    GoesOn { step, from } = "The run continues after step {step} (resume_from_checkpoint: {from}).",
        "从第 {step} 步之后继续训练（resume_from_checkpoint: {from}）。";
    PassedOver { folder, error } = "{folder} is skipped: {error}", "跳过 {folder}：{error}";
    NoCheckpoint { place } = "there is no checkpoint in {place}", "{place} 中没有检查点";
    NoWholeCheckpoint { place, passed_over } = "no checkpoint in {place} is complete: {passed_over}",
        "{place} 中没有完整的检查点：{passed_over}";
    StartFromBeginning = "Remove it to start the run from the beginning.", "请删去它以从头开始训练。";
    HoldsRun { folder, found } = "{folder} holds {found} already, which this run would replace",
        "{folder} 中已有 {found}，本次训练会覆盖它";
    NewFolder =
        "Choose a new folder. To continue the run in it, set resume_from_checkpoint: true; to start it over, \
         overwrite_output_dir: true.",
        "请选择新的文件夹。要继续其中的训练，请设置 resume_from_checkpoint: true；要重新开始，请设置 overwrite_output_dir: true。";
    IsInput { knob } = "is {knob}, too: the run would write over what it reads", "同时也是 {knob}：训练会覆盖它要读取的内容";
    HoldsInput { file, knob } = "holds {file}, which {knob} names: the run would write over what it reads",
        "其中有 {knob} 指定的 {file}：训练会覆盖它要读取的内容";
    RunFileIsRecord { file } = "holds the run file {file}, over which the run would write its record",
        "其中的配置文件 {file} 会被训练记录覆盖";
    FolderOfItsOwn = "Choose a separate folder for the output of the run.", "请为训练的输出选择一个单独的文件夹。";
    RecordReplaced { why } = "The run's record is written again: {why}", "将重新写入训练记录：{why}";
    NotARun = "is not the folder of a run", "不是训练输出文件夹";
    ListRuns = "Name the output_dir of a run; `lorakeet runs DIR` lists those under a folder.",
        "请指定一次训练的 output_dir；`lorakeet runs DIR` 可列出某个文件夹下的所有训练。";
    RunWithoutRecord = "is a run of an older release, which wrote no run.json",
        "是旧版本的训练，没有 run.json";
    GoOnWritesRecord =
        "Its settings are in run.yaml and its log in train_log.jsonl; when the run continues (resume_from_checkpoint: true), \
         it writes its record.",
        "其设置在 run.yaml 中，过程在 train_log.jsonl 中；继续训练（resume_from_checkpoint: true）时会写入记录。";
    NoRuns { place } = "There is no run under {place}.", "{place} 下没有训练。";
    NotListed { folder, why } = "{folder} is not listed: {why}", "未列出 {folder}：{why}";
    TooManyFolders { most } = "There are more than {most} folders: the rest were not searched.",
        "文件夹超过 {most} 个，其余的没有查看。";
    TableReplaces { knob } = "is {knob}, too, which the table would replace", "同时也是 {knob}，表格会覆盖它";
    AsksHub { name, host } = "{name} is not a path here: {host} is asked for it.", "此处没有路径 {name}：将向 {host} 请求。";
    // trained.rs
    WeightsOfCheckpoint { step } = "The run has not ended: the weights of step {step} are used, from its newest checkpoint.",
        "训练尚未结束：使用最新检查点（第 {step} 步）的权重。";
    NoWeightsYet = "has no weights yet: no adapter, no model, no complete checkpoint", "还没有权重：没有适配器、模型或完整的检查点";
    FinishTheRun = "Continue the run (resume_from_checkpoint: true), or name the folder of a finished one.",
        "请继续这次训练（resume_from_checkpoint: true），或指定一次已结束的训练的文件夹。";
    RunsDataNotThere = "is not there: a run's record names files as they were seen from the folder in which it was started",
        "文件不存在：训练记录中的路径以启动训练时所在的文件夹为准";
    NameRunsData = "Run the command in that folder, or name the file with --data.",
        "请在那个文件夹中运行此命令，或用 --data 指定文件。";
    WithoutWhatWasTrained { folder } = "The model of the run file is used as it was before training. Name the folder {folder} instead of the run \
         file to use the trained weights.",
        "这里使用的是运行文件中训练前的模型。要使用训练后的结果，请用文件夹 {folder} 代替运行文件。";
    NothingHeldOutByRun = "The run holds no rows out: all of its rows are scored, those that it was trained on.",
        "这次训练没有留出数据：评估的是它的全部数据，即训练用过的数据。";
    AnswersTrainedRows =
        "These are all rows of the run's data, most of which it was trained on; predictions.csv in its folder has those that it held \
         out. Name other rows with --data.",
        "这是该训练的全部数据，其中大部分用于训练；其文件夹中的 predictions.csv 是留出数据的预测。可用 --data 指定其他数据。";
    NoDataToAudit = "there is no data to audit", "没有可检查的数据";
    NameTrainFile = "Name a data file, or a run file with train_file.", "请指定数据文件，或含有 train_file 的配置文件。";
    NoTokenizer { model } = "{model} has no tokenizer: lengths are estimated from letters.",
        "{model} 没有分词器：长度按字数估算。";
    FileIsThere = "is there already", "已存在";
    NameNewFile = "Name a new file.", "请指定一个新文件。";
    // data_sets.rs
    NoSuchDataSet { name } = "has no data set '{name}'", "没有名为 '{name}' 的数据集";
    DataSetsAre { names } = "It has {names}.", "其中有 {names}。";
    DataSetElsewhere { name } = "has no file for the data set '{name}'", "没有给出数据集 '{name}' 的文件";
    FetchDataSet = "Download it, and name the file as train_file.", "请先下载，再用 train_file 指定该文件。";
    DataSetFound { name, path } = "The data set {name} is the file {path}; its columns are recognised by their names.",
        "数据集 {name} 对应文件 {path}；其中的列按列名识别。";
}
