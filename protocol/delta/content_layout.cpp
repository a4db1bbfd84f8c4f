#include "protocol/delta/content_layout.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "common/limits.hpp"

namespace notp::delta {
namespace {

// Siblings on each side of a new file, in the order of extension and path: its folder's files come
// first. The more new files have one place, the more siblings are worth their time: each is
// compressed against all of them.
constexpr size_t kSiblingsMin = 8, kSiblingsMax = 80, kSiblingsPerAdded = 4;

struct ByKind {
  static std::pair<std::string_view, std::string_view> key(std::string_view path) {
    return {extension(path), path};
  }
};

bool small(uint64_t bytes) { return bytes <= limits::kSmallFileBytesMax; }

// The small files of the base by extension and path, for finding siblings. Built on first use.
class Siblings {
 public:
  explicit Siblings(const BaseIndex& base) : base_(base) {}

  // Announces an added file; all are announced before siblings are requested.
  void announce(std::string_view path) { ++added_at_[place_of(path)]; }

  std::vector<const model::FileEntry*> of(std::string_view path) {
    const size_t place = place_of(path);
    const size_t reach =
        std::clamp(kSiblingsPerAdded * added_at_[place], kSiblingsMin, kSiblingsMax);
    const size_t first = place - std::min(place, reach);
    const size_t last = std::min(files_.size(), place + reach);
    std::vector<const model::FileEntry*> out;
    for (size_t i = first; i < last; ++i)
      if (extension(files_[i]->first) == extension(path)) out.push_back(&files_[i]->second);
    return out;
  }

 private:
  size_t place_of(std::string_view path) {
    if (!built_) build();
    const auto key = [](const BaseFile* file) { return ByKind::key(file->first); };
    return static_cast<size_t>(std::ranges::lower_bound(files_, ByKind::key(path), {}, key) -
                               files_.begin());
  }

  void build() {
    for (const BaseFile* file : base_.files)
      if (small(file->second.bytes)) files_.push_back(file);
    std::ranges::sort(files_, {}, [](const BaseFile* file) { return ByKind::key(file->first); });
    built_ = true;
  }

  const BaseIndex& base_;
  std::vector<const BaseFile*> files_;
  std::unordered_map<size_t, size_t> added_at_;  // by place
  bool built_ = false;
};

// Fills groups in order; a group is closed before its contents or its references would exceed
// kSolidBytesMax.
class SolidGroups {
 public:
  void add(size_t member, uint64_t bytes, const std::vector<const model::FileEntry*>& references) {
    uint64_t more = 0;
    for (const model::FileEntry* entry : references)
      if (!seen_.contains(entry->hash)) more += entry->bytes;
    if (groups_.empty() || groups_.back().raw_bytes + bytes > limits::kSolidBytesMax ||
        reference_bytes_ + more > limits::kSolidBytesMax)
      open();
    SolidGroup& group = groups_.back();
    group.members.push_back(member);
    group.raw_bytes += bytes;
    for (const model::FileEntry* entry : references) {
      if (!seen_.insert(entry->hash).second) continue;
      group.references.push_back(entry);
      reference_bytes_ += entry->bytes;
    }
  }
  std::vector<SolidGroup> take() { return std::move(groups_); }

 private:
  void open() {
    groups_.emplace_back();
    seen_.clear();
    reference_bytes_ = 0;
  }

  std::vector<SolidGroup> groups_;
  std::unordered_set<Hash, HashOfHash> seen_;
  uint64_t reference_bytes_ = 0;
};

}  // namespace

ContentLayout layout_of(const Program& program, const BaseIndex& base) {
  ContentLayout out;
  out.contents.reserve(program.contents());
  for (const auto& entry : program.modified)
    out.contents.push_back(
        {base.files[entry.file]->first, entry.bytes, &base.files[entry.file]->second});
  for (const auto& entry : program.added)
    out.contents.push_back({entry.path, entry.bytes, nullptr});
  for (const auto& entry : program.added_like)
    out.contents.push_back({entry.path, entry.bytes, &base.files[entry.file]->second});

  std::vector<size_t> small_ones;
  for (size_t i = 0; i < out.contents.size(); ++i) {
    const NewContent& content = out.contents[i];
    const bool solid =
        small(content.bytes) && (content.reference == nullptr || small(content.reference->bytes));
    (solid ? small_ones : out.blobs).push_back(i);
  }
  // The place breaks ties, so that the order is unique even for a program that writes a path twice.
  std::ranges::sort(small_ones, {},
                    [&](size_t i) { return std::pair(ByKind::key(out.contents[i].path), i); });
  Siblings siblings(base);
  for (const size_t i : small_ones)
    if (out.contents[i].reference == nullptr) siblings.announce(out.contents[i].path);
  SolidGroups groups;
  for (const size_t i : small_ones) {
    const NewContent& content = out.contents[i];
    groups.add(
        i, content.bytes,
        content.reference == nullptr ? siblings.of(content.path) : std::vector{content.reference});
  }
  out.solids = groups.take();
  return out;
}

}  // namespace notp::delta
