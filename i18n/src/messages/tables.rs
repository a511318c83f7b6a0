//! Spreadsheets, Parquet files and archives as data files.

use crate::message::messages;

messages! { "tables";
    // lib.rs
    Damaged { error } = "the file is damaged or not what its first bytes say{error}",
        "文件已损坏，或与其开头字节所示的格式不符{error}";
    SaveAgain = "Save it again from the program that made it, or as .csv or .jsonl.",
        "请用生成它的程序重新保存，或另存为 .csv 或 .jsonl。";
    TooMuchInside { most } = "what is in the file takes more than the {most} MB that fit into memory",
        "文件解开后超过了内存可容纳的 {most} MB";
    // members.rs
    NoDataInside { files } = "there is neither a table nor a text among: {files}", "以下文件中既没有表格也没有文本：{files}";
    GiveTextsOrTable = "Give .txt or .md files, or one .csv, .tsv, .jsonl, .json, .xlsx or .parquet file.",
        "请提供 .txt 或 .md 文件，或一个 .csv、.tsv、.jsonl、.json、.xlsx 或 .parquet 文件。";
    SeveralTables { files } = "there are several tables, and a run reads one: {files}",
        "有多个表格，而一次训练只读取一个：{files}";
    GiveOneTable = "Leave one of them, or join them into one file.", "请只保留其中一个，或将它们合并为一个文件。";
    TextsAsRows { count, files } = "{count} files are read as one text each, in the order of their names: {files}.",
        "{count} 个文件按文件名顺序各作为一篇文本读取：{files}。";
    FilesNotRead { files } = "Not read: {files}.", "未读取：{files}。";
    // archive.rs
    ArchiveInArchive = "it is an archive within an archive", "这是压缩包中的压缩包";
    UnpackFirst = "Unpack it, and give what is in it.", "请先解压，再提供其中的文件。";
    OtherSpreadsheet = "this is a spreadsheet of another format than .xlsx", "这是 .xlsx 以外格式的电子表格";
    SaveAsXlsx = "Save it as .xlsx or .csv.", "请另存为 .xlsx 或 .csv。";
    OfficeFile = "this is an Office document without a sheet", "这是不含工作表的 Office 文档";
    SaveAsTextOrXlsx = "Save its text as .txt, or its table as .xlsx or .csv.",
        "请将其中的文本另存为 .txt，或将表格另存为 .xlsx 或 .csv。";
    // sheet.rs
    NoSheet = "the workbook has no sheet with cells", "工作簿中没有含单元格的工作表";
    SheetsBeyond { most, others } = "The first {most} sheets are read; not read: {others}.",
        "只读取前 {most} 个工作表；未读取：{others}。";
    SheetTaken { sheet, others } = "The sheet '{sheet}' is read; not read: {others}.",
        "读取了工作表 '{sheet}'；未读取：{others}。";
    MergedCells { cells } =
        "Merged cells: {cells}. The first cell of each holds the value, the others are read as empty.",
        "存在合并单元格：{cells}。值只在各区域的第一个单元格中，其余按空值读取。";
    ErrorCells { count, cells } = "Cells with an error are read as empty ({count}): {cells}.",
        "出错的单元格按空值读取（共 {count} 个）：{cells}。";
    CellOutOfPlace { cell } = "the cell {cell} is out of order", "单元格 {cell} 不在应在的位置";
    EmptySheet = "the sheet is empty", "工作表为空";
    FillSheet = "Fill it, or name another sheet (sheet).", "请填入数据，或指定其他工作表（sheet）。";
    NoSuchSheet { sheet, sheets } = "there is no sheet '{sheet}' among: {sheets}", "其中没有工作表 '{sheet}'，现有：{sheets}";
    // parquet.rs
    NoColumnsInside = "the file has no columns", "文件没有列";
    OtherCodec { codec } = "the column is compressed with {codec}, which is not read here",
        "该列使用 {codec} 压缩，这里无法读取";
    SaveWithSnappy = "Save the file again with compression=\"snappy\", or as .jsonl or .csv.",
        "请用 compression=\"snappy\" 重新保存，或另存为 .jsonl 或 .csv。";
    BinaryColumns { columns } = "Columns with bytes that are no text are read as empty: {columns}.",
        "含有非文本字节的列按空值读取：{columns}。";
}
