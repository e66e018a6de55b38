//! Which file of a crate uses which, and whether the uses form a circle.
//!
//! A crate is read as the compiler reads it, with `syn`: from `main.rs` and `lib.rs` along every `mod`, `#[path]` and
//! inline modules included. A use is a path that leads into another file of the crate, from `crate`, `super`, `self` or
//! a child module on, wherever it stands: in `use` (groups, renames, re-exports), inline, in the tokens of a macro or of
//! an attribute. What stands in comments and strings is no use, and neither is what only tests see.
//!
//! The root of a crate uses every module that it declares. So a file that uses something of `main.rs` closes a circle.
//!
//! Left out: what a macro writes without being handed it, and a path that comes through a re-export (it is a use of the
//! file that re-exports).

mod tests;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use proc_macro2::Delimiter;
use proc_macro2::TokenStream;
use proc_macro2::TokenTree;
use syn::Attribute;
use syn::ImplItem;
use syn::Item;
use syn::ItemMod;
use syn::Meta;
use syn::UseTree;
use syn::visit::Visit;

/// The module path of a file from the root of its crate on; the root's is empty.
type Module = Vec<String>;

/// The files of a crate, each with those that it uses. A file is named by its module, `store::keys`, the roots `main`
/// and `lib`.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) uses: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Draws the package in this folder: `src/main.rs` and `src/lib.rs`, whichever there is.
    pub(crate) fn of_package(folder: &Path) -> Self {
        let mut graph = Self::default();
        for root in ["lib", "main"] {
            let file = folder.join("src").join(format!("{root}.rs"));
            if file.is_file() {
                graph.add_crate(root, &file);
            }
        }
        assert!(
            !graph.uses.is_empty(),
            "{}: no main.rs, no lib.rs",
            folder.display()
        );
        graph
    }

    fn add_crate(
        &mut self,
        root: &str,
        file: &Path,
    ) {
        let mut files = Files::default();
        files.read(Vec::new(), file, true);
        let name = |module: &Module| {
            if module.is_empty() {
                root.to_owned()
            } else {
                module.join("::")
            }
        };
        for (module, file) in &files.found {
            let used =
                file.uses.iter().map(|path| files.owner(path)).filter(|owner| owner != module);
            let entry = self.uses.entry(name(module)).or_default();
            entry.extend(used.map(|owner| name(&owner)));
        }
    }

    /// The shortest circle, the first in the alphabet among equals, as `auth -> access -> auth`.
    pub(crate) fn circle(&self) -> Option<String> {
        let circles = self.uses.keys().filter_map(|start| self.circle_from(start));
        let shortest = circles.min_by_key(Vec::len)?;
        Some(shortest.join(" -> "))
    }

    /// The shortest way from a file back to itself, breadth first.
    fn circle_from(
        &self,
        start: &str,
    ) -> Option<Vec<String>> {
        let mut ways = VecDeque::from([vec![start.to_owned()]]);
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop_front() {
            let last = way.last()?;
            for next in &self.uses[last] {
                let mut longer = way.clone();
                longer.push(next.clone());
                if next == start {
                    return Some(longer);
                }
                if seen.insert(next) {
                    ways.push_back(longer);
                }
            }
        }
        None
    }

    /// Everything that a file uses, and what that uses, and so on.
    fn reach(
        &self,
        start: &str,
    ) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(file) = open.pop() {
            for next in &self.uses[file] {
                if reached.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        reached
    }

    /// The edges without those that a longer way says already. Only for a graph without a circle.
    pub(crate) fn reduced(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut reduced = BTreeMap::new();
        for (file, used) in &self.uses {
            let farther: BTreeSet<_> = used.iter().flat_map(|next| self.reach(next)).collect();
            let direct = used.iter().map(String::as_str);
            let kept = direct.filter(|next| !farther.contains(next)).collect();
            reduced.insert(file.as_str(), kept);
        }
        reduced
    }
}

/// The files of one crate.
#[derive(Default)]
struct Files {
    found: BTreeMap<Module, Source>,
}

/// What one file says, inline modules included.
#[derive(Default)]
struct Source {
    /// Absolute paths without the `crate`, each in full: the end may be an item.
    uses: BTreeSet<Vec<String>>,
}

impl Files {
    /// Reads a file and those of the modules it declares. `owns_folder`: its modules lie beside it, as those of
    /// `main.rs` and `mod.rs` do, and not in a folder of its name.
    fn read(
        &mut self,
        module: Module,
        path: &Path,
        owns_folder: bool,
    ) {
        let text =
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let syntax =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut reader = Reader::new(module.clone());
        reader.visit_file(&syntax);
        // The root of a crate knows all rooms, whether it names something in them or not.
        if module.is_empty() {
            let declared = reader.declared.iter().map(|one| one.module.clone());
            reader.uses.extend(declared);
        }
        let source = self.found.entry(module).or_default();
        source.uses.extend(reader.uses);
        for declared in reader.declared {
            let (file, owns_folder) = declared.file(path, owns_folder);
            self.read(declared.module, &file, owns_folder);
        }
    }

    /// The file in which a path ends: the longest beginning that is one.
    fn owner(
        &self,
        path: &[String],
    ) -> Module {
        let lengths = (0..=path.len()).rev();
        let mut beginnings = lengths.map(|length| &path[..length]);
        let owner = beginnings.find(|beginning| self.found.contains_key(*beginning));
        owner.unwrap_or_default().to_vec()
    }
}

/// A `mod name;` and where it stands.
struct Declared {
    module: Module,
    /// The inline modules around it.
    inside: Vec<String>,
    /// What `#[path]` says.
    path: Option<String>,
}

impl Declared {
    /// The file of the module, and whether its own modules lie beside it.
    fn file(
        &self,
        parent: &Path,
        owns_folder: bool,
    ) -> (PathBuf, bool) {
        let beside = parent.parent().unwrap();
        let mut folder = beside.to_owned();
        if !owns_folder {
            folder.push(parent.file_stem().unwrap());
        }
        folder.extend(&self.inside);
        if let Some(path) = &self.path {
            let base = if self.inside.is_empty() {
                beside
            } else {
                &folder
            };
            return (base.join(path), true);
        }
        let name = self.module.last().unwrap();
        let old = folder.join(name).join("mod.rs");
        if old.is_file() {
            return (old, true);
        }
        (folder.join(format!("{name}.rs")), false)
    }
}

/// Walks through one file.
struct Reader {
    /// Where we are: the file's module, and the inline modules around us.
    here: Module,
    /// How many of `here` are inline modules.
    inline: usize,
    /// The modules declared in each module of this file, because a path may begin with one.
    children: BTreeSet<Module>,
    declared: Vec<Declared>,
    uses: BTreeSet<Vec<String>>,
}

impl Reader {
    fn new(module: Module) -> Self {
        Self {
            here: module,
            inline: 0,
            children: BTreeSet::new(),
            declared: Vec::new(),
            uses: BTreeSet::new(),
        }
    }

    /// Notes the modules before the paths: a path may stand above the `mod` that it begins with.
    fn note_children(
        &mut self,
        items: &[Item],
    ) {
        for item in items {
            if let Item::Mod(module) = item {
                let name = module.ident.to_string();
                self.children.insert(self.child(name));
            }
        }
    }

    fn child(
        &self,
        name: String,
    ) -> Module {
        let mut module = self.here.clone();
        module.push(name);
        module
    }

    /// Notes a path as it is written, if it leads into this crate.
    fn note(
        &mut self,
        path: &[String],
    ) {
        // A single word is a variable or an item of this module, and `pub(crate)` no use at all.
        let [first, _, ..] = path else {
            return;
        };
        let mut at = self.here.clone();
        let mut rest = path;
        match first.as_str() {
            "crate" => {
                at.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {}
            name if self.children.contains(&self.child(name.to_owned())) => {}
            _ => return,
        }
        while let [first, ..] = rest
            && first == "super"
        {
            at.pop();
            rest = &rest[1..];
        }
        at.extend_from_slice(rest);
        self.uses.insert(at);
    }

    fn note_use(
        &mut self,
        before: &[String],
        tree: &UseTree,
    ) {
        let mut path = before.to_vec();
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.note_use(&path, &tree.tree);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_use(&path, tree);
                }
            }
            UseTree::Name(tree) => {
                path.push(tree.ident.to_string());
                self.note(&path);
            }
            UseTree::Rename(tree) => {
                path.push(tree.ident.to_string());
                self.note(&path);
            }
            UseTree::Glob(_) => {
                path.push("*".to_owned());
                self.note(&path);
            }
        }
    }

    /// Notes the paths among tokens that nobody has parsed: those of a macro or of an attribute.
    fn note_tokens(
        &mut self,
        tokens: TokenStream,
    ) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if let TokenTree::Group(group) = &tokens[at] {
                self.note_tokens(group.stream());
            }
            if matches!(tokens[at], TokenTree::Ident(_)) && !after_colons(&tokens[..at]) {
                at = self.note_path(Vec::new(), &tokens, at);
            } else {
                at += 1;
            }
        }
    }

    /// Notes the path that begins here, behind `before`, and says where the tokens go on.
    fn note_path(
        &mut self,
        mut before: Vec<String>,
        tokens: &[TokenTree],
        mut at: usize,
    ) -> usize {
        while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
            before.push(ident.to_string());
            at += 1;
            if !colons(&tokens[at..]) {
                break;
            }
            at += 2;
        }
        match tokens.get(at) {
            // `crate::a::{b, c::D}`, and not the block behind `if here::there {`.
            Some(TokenTree::Group(group))
                if group.delimiter() == Delimiter::Brace && after_colons(&tokens[..at]) =>
            {
                let inner: Vec<_> = group.stream().into_iter().collect();
                for part in inner.split(is_comma) {
                    self.note_path(before.clone(), part, 0);
                }
                at + 1
            }
            _ => {
                self.note(&before);
                at
            }
        }
    }
}

fn is_comma(token: &TokenTree) -> bool {
    is_punctuation(token, ',')
}

fn is_punctuation(
    token: &TokenTree,
    wanted: char,
) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == wanted)
}

/// Whether the tokens begin with `::`.
fn colons(tokens: &[TokenTree]) -> bool {
    tokens.len() > 1 && tokens[..2].iter().all(|token| is_punctuation(token, ':'))
}

/// Whether the tokens end in `::`: then a word behind them is no beginning of a path.
fn after_colons(tokens: &[TokenTree]) -> bool {
    tokens.len() > 1 && colons(&tokens[tokens.len() - 2..])
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_file(
        &mut self,
        file: &'ast syn::File,
    ) {
        self.note_children(&file.items);
        syn::visit::visit_file(self, file);
    }

    fn visit_item(
        &mut self,
        item: &'ast Item,
    ) {
        if !for_tests(attributes(item)) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(
        &mut self,
        item: &'ast ImplItem,
    ) {
        let for_tests = match item {
            ImplItem::Fn(function) => for_tests(&function.attrs),
            ImplItem::Const(constant) => for_tests(&constant.attrs),
            _ => false,
        };
        if !for_tests {
            syn::visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(
        &mut self,
        item: &'ast ItemMod,
    ) {
        let module = self.child(item.ident.to_string());
        let Some((_, items)) = &item.content else {
            let inside = self.here[self.here.len() - self.inline..].to_vec();
            self.declared.push(Declared {
                module,
                inside,
                path: path_attribute(&item.attrs),
            });
            return;
        };
        self.here = module;
        self.inline += 1;
        self.note_children(items);
        for item in items {
            self.visit_item(item);
        }
        self.inline -= 1;
        self.here.pop();
    }

    fn visit_item_use(
        &mut self,
        item: &'ast syn::ItemUse,
    ) {
        if item.leading_colon.is_none() {
            self.note_use(&[], &item.tree);
        }
    }

    fn visit_path(
        &mut self,
        path: &'ast syn::Path,
    ) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter();
            let words: Vec<_> = segments.map(|one| one.ident.to_string()).collect();
            self.note(&words);
        }
        // Generic arguments have paths of their own.
        syn::visit::visit_path(self, path);
    }

    /// `pub(in crate::store)` says who may see, and uses nothing.
    fn visit_vis_restricted(
        &mut self,
        _: &'ast syn::VisRestricted,
    ) {
    }

    fn visit_macro(
        &mut self,
        call: &'ast syn::Macro,
    ) {
        self.visit_path(&call.path);
        self.note_tokens(call.tokens.clone());
    }

    fn visit_meta_list(
        &mut self,
        list: &'ast syn::MetaList,
    ) {
        self.note_tokens(list.tokens.clone());
    }
}

/// Whether only tests see what has these attributes.
fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => needs_test(list.tokens.clone()),
        _ => false,
    })
}

/// Whether a condition holds in tests only: `test`, or an `all(..)` with such a condition in it.
fn needs_test(condition: TokenStream) -> bool {
    let tokens: Vec<_> = condition.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(word), ..] if word == "test" => tokens.len() == 1,
        [TokenTree::Ident(word), TokenTree::Group(group)] if word == "all" => {
            let inner: Vec<_> = group.stream().into_iter().collect();
            let mut parts = inner.split(is_comma);
            parts.any(|part| needs_test(part.iter().cloned().collect()))
        }
        _ => false,
    }
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    let mut values = attributes.iter().filter_map(|attribute| {
        let named = attribute.meta.require_name_value().ok()?;
        let syn::Expr::Lit(value) = &named.value else {
            return None;
        };
        match &value.lit {
            syn::Lit::Str(path) if named.path.is_ident("path") => Some(path.value()),
            _ => None,
        }
    });
    values.next()
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
