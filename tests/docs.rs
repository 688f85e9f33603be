//! That the pages lead somewhere: links, commands, recipes, files, and the words of the box that they quote.

use std::collections::BTreeMap;
use std::fs;
use std::mem::take;
use std::path::{Path, PathBuf};
use std::process::Command;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// What of a page can lead nowhere.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    /// Of headings, as they are linked to.
    anchors: Vec<String>,
    /// Code in a line of text, and each line of a shell's block.
    code: Vec<String>,
    /// TOML that stands alone.
    configurations: Vec<String>,
    /// Code in the first column of a table, whose heading is on the left.
    quotes: Vec<(String, String)>,
}

#[test]
fn every_link_leads_to_a_file_and_every_anchor_to_a_heading() {
    let pages = pages();
    assert!(pages.len() > 8, "{:?}", pages.keys());
    let dead: Vec<String> = pages
        .iter()
        .flat_map(|(name, page)| page.links.iter().filter_map(|link| dead(&pages, name, link)))
        .collect();
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_command_of_the_boxs_is_one_that_it_takes() {
    let refused: Vec<String> =
        said("byway").into_iter().filter(|(_, words)| !takes(words)).map(shown).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn every_recipe_is_one_of_the_justfiles() {
    let recipes = recipes();
    assert!(recipes.contains(&"demo".to_owned()), "{recipes:?}");
    let unknown: Vec<String> = said("./dev")
        .into_iter()
        .chain(said("just"))
        .filter(|(_, words)| words.first().is_some_and(|recipe| !recipes.contains(recipe)))
        .map(shown)
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn every_file_of_the_repository_that_a_page_names_is_there() {
    let names =
        |line: &str| line.split(' ').map(str::to_owned).filter(|word| is_ours(word)).collect::<Vec<_>>();
    let all: Vec<_> = lines()
        .flat_map(|(page, line)| names(&line).into_iter().map(move |name| (page.clone(), name)))
        .collect();
    assert!(all.len() > 20, "{all:?}");
    let missing: Vec<_> = all.into_iter().filter(|(_, name)| !root().join(name).exists()).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_configuration_that_a_page_shows_is_one_that_the_box_takes() {
    let shown: Vec<_> = pages()
        .into_iter()
        .flat_map(|(name, page)| page.configurations.into_iter().map(move |text| (name.clone(), text)))
        .collect();
    assert!(shown.len() > 3, "{shown:?}");
    let one = read("tests/vm/nobody.conf");
    let another = one.replace("PublicKey = x", "PublicKey = y").replace("192.0.2.130", "192.0.2.131");
    let file =
        |named: &Path| Ok(if named.starts_with("de-fra-wg-001.conf") { &another } else { &one }.clone());
    for (name, text) in shown {
        let rest = if text.contains("[mullvad]") { "" } else { "[mullvad]\nconfig = [\"one.conf\"]\n" };
        let parsed = byway::config::parse(&format!("{text}{rest}"), Path::new("byway.toml"), &file);
        assert!(parsed.is_ok(), "{}: {}", name.display(), parsed.unwrap_err());
    }
}

/// What somebody looks for in the table is what the box says, to the letter; `...` stands for what differs from box to box.
#[test]
fn what_the_first_steps_say_that_the_box_says_it_does_say() {
    let said = words_of_the_box();
    let pages = pages();
    let quotes: Vec<&String> = pages[Path::new("docs/flash.md")]
        .quotes
        .iter()
        .filter_map(|(heading, quote)| heading.contains("says").then_some(quote))
        .collect();
    assert!(quotes.len() > 15, "{quotes:?}");
    let never: Vec<&&String> =
        quotes.iter().filter(|quote| !quote.split("...").all(|part| said.contains(part.trim()))).collect();
    assert!(never.is_empty(), "{never:#?}");
}

fn dead(pages: &BTreeMap<PathBuf, Page>, name: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { name.to_owned() } else { plain(&name.parent()?.join(file)) };
    let is_there = root().join(&target).exists()
        && (anchor.is_empty()
            || pages.get(&target).is_some_and(|page| page.anchors.iter().any(|one| one == anchor)));
    (!is_there).then(|| format!("{}: {link}", name.display()))
}

/// Without the `..` in it.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        if part.as_os_str() == ".." {
            plain.pop();
        } else {
            plain.push(part);
        }
        plain
    })
}

/// A path from the root, without anything left open; of what is kept, not of what is made.
fn is_ours(word: &str) -> bool {
    let folders = [
        ".github/",
        "board/",
        "docs/",
        "firmware/",
        "image/",
        "overlays/devicetree/",
        "overlays/rootfs/",
        "tests/",
    ];
    folders.iter().any(|folder| word.starts_with(folder))
        && !word.contains(['*', '{', '<'])
        && !word.starts_with("image/prebuilt")
}

/// The words after this one, of each line that begins with it, up to what a page leaves open.
fn said(command: &str) -> Vec<(PathBuf, Vec<String>)> {
    let begins = format!("{command} ");
    let said: Vec<_> = lines()
        .filter_map(|(page, line)| {
            let line = line.strip_prefix("sudo ").unwrap_or(&line).strip_prefix(&begins)?.to_owned();
            let words = line
                .split(' ')
                .take_while(|word| !word.starts_with(['[', '#', '|', '&', '>']))
                .map(str::to_owned);
            Some((page, words.collect()))
        })
        .collect();
    assert!(!said.is_empty(), "no page says {command}");
    said
}

fn takes(words: &[String]) -> bool {
    let help = Command::new(env!("CARGO_BIN_EXE_byway")).args(words).arg("--help").output();
    help.is_ok_and(|help| help.status.success())
}

fn shown((page, words): (PathBuf, Vec<String>)) -> String {
    format!("{}: {}", page.display(), words.join(" "))
}

fn recipes() -> Vec<String> {
    read("Justfile")
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()) && !line.contains(":="))
        .filter_map(|line| line.split_once(':')?.0.split(' ').next().map(str::to_owned))
        .collect()
}

/// Sources as text, with strings that go on in the next line in one, and what the screen shows.
fn words_of_the_box() -> String {
    let mut all = String::new();
    walk(&root().join("firmware"), "rs", &mut |path| all += &text_of(path));
    let sources = all.split("\\\n").map(str::trim_start).collect::<String>().replace("\\\"", "\"");
    let screen = read("firmware/core/tests/golden/pages.txt").replace(" | ", " ");
    let why = read("firmware/core/tests/golden/views.txt");
    format!("{sources}\n{screen}\n{why}").replace("{NAME}", "byway.toml").replace("{place}", "card")
}

fn lines() -> impl Iterator<Item = (PathBuf, String)> {
    pages().into_iter().flat_map(|(name, page)| page.code.into_iter().map(move |line| (name.clone(), line)))
}

fn pages() -> BTreeMap<PathBuf, Page> {
    let mut pages = BTreeMap::new();
    walk(root(), "md", &mut |path| {
        let name = path.strip_prefix(root()).unwrap_or(path).to_owned();
        // One in the making: what the bench writes into docs/.
        if !name.starts_with("tests/lab/src") {
            pages.insert(name, page(&text_of(path)));
        }
    });
    pages
}

fn page(text: &str) -> Page {
    let mut reader = Reader::default();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        reader.read(event);
    }
    reader.page
}

/// What is being read of a page.
#[derive(Default)]
struct Reader {
    page: Page,
    heading: Option<String>,
    /// Of the block of code, which comes in pieces where it is indented.
    language: String,
    block: String,
    /// Of the table, its first column's.
    head: String,
    in_head: bool,
    cell: usize,
}

impl Reader {
    fn read(&mut self, event: Event<'_>) {
        if let Event::Start(tag) = event {
            self.start(tag);
        } else if let Event::End(tag) = event {
            self.end(tag);
        } else if let Event::Code(code) = event {
            self.code(code.into_string());
        } else if let Event::Text(text) = event {
            self.text(&text);
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        if let Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } = tag {
            self.page.links.push(dest_url.into_string());
        } else if let Tag::CodeBlock(CodeBlockKind::Fenced(language)) = tag {
            self.language = language.into_string();
        } else if let Tag::Heading { .. } = tag {
            self.heading = Some(String::new());
        } else if tag == Tag::TableHead {
            (self.head, self.in_head, self.cell) = (String::new(), true, 0);
        } else if tag == Tag::TableRow {
            self.cell = 0;
        }
    }

    fn end(&mut self, tag: TagEnd) {
        if let TagEnd::Heading(_) = tag {
            self.page.anchors.extend(self.heading.take().as_deref().map(anchor));
        } else if tag == TagEnd::CodeBlock {
            self.block();
        } else if tag == TagEnd::TableHead {
            self.in_head = false;
        } else if tag == TagEnd::TableCell {
            self.cell += 1;
        }
    }

    fn code(&mut self, code: String) {
        if let Some(heading) = &mut self.heading {
            *heading += &code;
        }
        if self.cell == 0 && !self.in_head {
            self.page.quotes.push((self.head.clone(), code.clone()));
        }
        self.page.code.push(code);
    }

    fn text(&mut self, text: &str) {
        if let Some(heading) = &mut self.heading {
            *heading += text;
        }
        if self.in_head && self.cell == 0 {
            self.head += text;
        }
        if !self.language.is_empty() {
            self.block += text;
        }
    }

    fn block(&mut self) {
        let (language, text) = (take(&mut self.language), take(&mut self.block));
        match language.as_str() {
            "sh" => self.page.code.extend(text.lines().map(str::to_owned)),
            "toml" => self.page.configurations.push(text),
            _ => {}
        }
    }
}

/// As GitHub makes it; no page of ours has two headings of one name.
fn anchor(heading: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    heading
        .to_lowercase()
        .chars()
        .filter(kept)
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// Every file with this ending; not what is built, or fetched.
fn walk(folder: &Path, ending: &str, found: &mut impl FnMut(&Path)) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !["prebuilt", "target"].contains(&&*name) && !name.starts_with('.') {
            walk(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found(&path);
        }
    }
}

fn read(name: &str) -> String {
    text_of(&root().join(name))
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
