#include "tools/notp/publish/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "common/size_text.hpp"

namespace notp::cli {
namespace {

struct Sign {
  char letter;
  Colour colour;
  std::string_view name;
};

Sign sign_of(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kAdd:
      return {'+', Colour::kGreen, "add"};
    case ChangeKind::kChange:
      return {'~', Colour::kYellow, "change"};
    case ChangeKind::kRemove:
      return {'-', Colour::kRed, "remove"};
    case ChangeKind::kRename:
      return {'R', Colour::kCyan, "rename"};
  }
  return {'?', Colour::kDim, "unknown"};
}

std::string difference(uint64_t before, uint64_t after) {
  if (before == after) return "same size";
  return before < after ? fmt::format("+{}", size_text(after - before))
                        : fmt::format("-{}", size_text(before - after));
}

std::string sizes(const Change& change) {
  switch (change.kind) {
    case ChangeKind::kAdd:
    case ChangeKind::kRename:
      return size_text(change.bytes_after);
    case ChangeKind::kRemove:
      return size_text(change.bytes_before);
    case ChangeKind::kChange:
      break;
  }
  return fmt::format("{} ({})", size_text(change.bytes_after),
                     difference(change.bytes_before, change.bytes_after));
}

std::string shown_path(const Change& change) {
  return change.kind == ChangeKind::kRename ? fmt::format("{} -> {}", change.from, change.path)
                                            : change.path;
}

// Pairs removed and added files with the same content, in the order of their paths.
void join_renames(std::vector<Change>& changes,
                  const std::multimap<Hash, std::string>& removed_by_hash,
                  const model::Tree& after) {
  std::multimap<Hash, std::string> removed = removed_by_hash;
  std::map<std::string, std::string> new_to_old;
  for (const Change& change : changes) {
    if (change.kind != ChangeKind::kAdd || change.bytes_after == 0) continue;
    const auto found = removed.find(after.find(change.path)->hash);
    if (found == removed.end()) continue;
    new_to_old[change.path] = found->second;
    removed.erase(found);
  }
  std::map<std::string, bool> gone;
  for (const auto& [path, old] : new_to_old) gone[old] = true;
  std::erase_if(changes, [&](const Change& change) {
    return change.kind == ChangeKind::kRemove && gone.contains(change.path);
  });
  for (Change& change : changes) {
    const auto found = new_to_old.find(change.path);
    if (found == new_to_old.end()) continue;
    change.kind = ChangeKind::kRename;
    change.from = found->second;
    change.bytes_before = change.bytes_after;
  }
}

}  // namespace

std::vector<Change> compare_trees(const model::Tree& before, const model::Tree& after) {
  std::vector<Change> changes;
  std::multimap<Hash, std::string> removed;
  for (const auto& [path, entry] : before.files()) {
    const model::FileEntry* now = after.find(path);
    if (now == nullptr) {
      changes.push_back({ChangeKind::kRemove, path, {}, entry.bytes, 0});
      removed.emplace(entry.hash, path);
    } else if (*now != entry) {
      changes.push_back({ChangeKind::kChange, path, {}, entry.bytes, now->bytes});
    }
  }
  for (const auto& [path, entry] : after.files())
    if (before.find(path) == nullptr)
      changes.push_back({ChangeKind::kAdd, path, {}, 0, entry.bytes});
  std::ranges::sort(changes, {}, &Change::path);
  join_renames(changes, removed, after);
  return changes;
}

ChangeCounts count_changes(const std::vector<Change>& changes) {
  ChangeCounts counts;
  for (const Change& change : changes) {
    switch (change.kind) {
      case ChangeKind::kAdd:
        ++counts.add;
        break;
      case ChangeKind::kChange:
        ++counts.change;
        break;
      case ChangeKind::kRemove:
        ++counts.remove;
        break;
      case ChangeKind::kRename:
        ++counts.rename;
        break;
    }
  }
  return counts;
}

std::string counts_text(const ChangeCounts& counts) {
  std::string text = fmt::format("{} to add, {} to change, {} to remove", human_count(counts.add),
                                 human_count(counts.change), human_count(counts.remove));
  if (counts.rename > 0) text += fmt::format(", {} to rename", human_count(counts.rename));
  return text;
}

std::string done_text(const ChangeCounts& counts) {
  return fmt::format("{} added, {} changed, {} removed, {} renamed", human_count(counts.add),
                     human_count(counts.change), human_count(counts.remove),
                     human_count(counts.rename));
}

json::object counts_json(const ChangeCounts& counts) {
  return {{"add", counts.add},
          {"change", counts.change},
          {"remove", counts.remove},
          {"rename", counts.rename}};
}

std::string changes_text(const Output& output, const std::vector<Change>& changes,
                         size_t lines_max) {
  const size_t shown = std::min(changes.size(), lines_max);
  size_t width = 0;
  for (size_t i = 0; i < shown; ++i) width = std::max(width, shown_path(changes[i]).size());
  width = std::min<size_t>(width, 72);
  std::string text;
  for (size_t i = 0; i < shown; ++i) {
    const Sign sign = sign_of(changes[i].kind);
    text += fmt::format("  {} {}\n",
                        output.paint(sign.colour, fmt::format("{} {:{}}", sign.letter,
                                                              shown_path(changes[i]), width)),
                        sizes(changes[i]));
  }
  if (shown < changes.size())
    text +=
        fmt::format("    and {} more (--all shows them)\n", human_count(changes.size() - shown));
  return text;
}

json::array changes_json(const std::vector<Change>& changes) {
  json::array array;
  for (const Change& change : changes) {
    json::object object{{"action", sign_of(change.kind).name},
                        {"path", change.path},
                        {"bytes_before", change.bytes_before},
                        {"bytes_after", change.bytes_after}};
    if (change.kind == ChangeKind::kRename) object["from"] = change.from;
    array.push_back(std::move(object));
  }
  return array;
}

std::string folders_text(const Output& output, const std::vector<Change>& changes) {
  std::map<std::string, std::vector<Change>> folders;
  for (const Change& change : changes) {
    const size_t slash = change.path.find('/');
    folders[slash == std::string::npos ? "." : change.path.substr(0, slash)].push_back(change);
  }
  if (folders.size() < 2) return {};
  std::vector<std::vector<std::string>> rows{{"  FOLDER", "ADD", "CHANGE", "REMOVE", "RENAME"}};
  for (const auto& [folder, inside] : folders) {
    const ChangeCounts counts = count_changes(inside);
    const auto cell = [](uint64_t n) { return n == 0 ? std::string("-") : human_count(n); };
    rows.push_back({"  " + folder, cell(counts.add), cell(counts.change), cell(counts.remove),
                    cell(counts.rename)});
  }
  return table(output, rows);
}

RootsChange compare_roots(const std::vector<std::string>& before,
                          const std::vector<std::string>& after) {
  RootsChange change;
  std::ranges::set_difference(after, before, std::back_inserter(change.added));
  std::ranges::set_difference(before, after, std::back_inserter(change.removed));
  return change;
}

}  // namespace notp::cli
