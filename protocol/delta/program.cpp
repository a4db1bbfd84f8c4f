#include "protocol/delta/program.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "protocol/delta/zigzag.hpp"

namespace notp::delta {
namespace {

// The groups of a program, by their bit in the mask and in this order. The most frequent come
// first: their mask is one byte.
enum Group : uint32_t {
  kModified,
  kAdded,
  kRemovedFiles,
  kMovedFolders,
  kRemovedFolders,
  kMovedFiles,
  kCopiedFiles,
  kCopiedFolders,
  kAddedLike,
  kSame,
  kGroups
};

size_t common_prefix(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

class Writer {
 public:
  explicit Writer(const BaseIndex& base) : base_(base) {}

  void number(uint64_t value) { put_varint(out_, value); }
  void begin(size_t count) {
    number(count);
    last_place_ = 0;
    last_path_.clear();
  }
  // Indexes ascend, so each is coded as its distance from the previous one.
  void place(uint32_t value) {
    NOTP_ASSERT(value >= last_place_, "the places of a program are not sorted");
    number(value - last_place_);
    last_place_ = value;
  }
  void size_like(uint64_t bytes, uint32_t file) {
    number(zigzag(static_cast<int64_t>(bytes - base_.files[file]->second.bytes)));
  }
  // Codes against the previous path, or against a neighbour in the base when that shares enough to
  // pay for its number.
  void path(std::string_view value) {
    size_t anchor = 0, shared = common_prefix(value, last_path_);
    const auto next = std::ranges::lower_bound(
        base_.files, value, {},
        [](const BaseFile* file) -> std::string_view { return file->first; });
    for (const ptrdiff_t step : {-1, 0}) {
      const ptrdiff_t at = next - base_.files.begin() + step;
      if (at < 0 || at >= std::ssize(base_.files)) continue;
      const size_t with_base = common_prefix(value, base_.files[static_cast<size_t>(at)]->first);
      if (with_base <= shared + (anchor == 0 ? 2 : 0)) continue;
      anchor = static_cast<size_t>(at) + 1;
      shared = with_base;
    }
    number(anchor);
    number(shared);
    number(value.size() - shared);
    out_ += value.substr(shared);
    last_path_ = value;
  }
  Bytes take() { return std::move(out_); }

 private:
  const BaseIndex& base_;
  Bytes out_;
  uint32_t last_place_ = 0;
  std::string last_path_;
};

class Reader {
 public:
  Reader(ByteView in, const BaseIndex& base, uint64_t paths_max)
      : in_(in), base_(base), paths_left_(paths_max) {}

  Result<uint64_t> number(uint64_t max) {
    auto value = take_varint(in_);
    if (!value) return fail(ErrorCode::kArtifact, "path program: " + value.error().message);
    if (*value > max)
      return fail(ErrorCode::kArtifact,
                  fmt::format("path program: {} where at most {} fits", *value, max));
    return *value;
  }
  // Returns the number of entries of a group; an empty group would have no bit in the mask.
  Result<uint64_t> begin(bool writes_paths) {
    last_place_ = 0;
    first_ = true;
    last_path_.clear();
    // An entry takes at least a byte, so a count beyond the remaining bytes is invalid.
    const uint64_t max = writes_paths ? std::min<uint64_t>(paths_left_, in_.size()) : in_.size();
    NOTP_ASSIGN(const uint64_t count, number(max));
    if (count == 0) return fail(ErrorCode::kArtifact, "path program: an empty group");
    if (writes_paths) paths_left_ -= count;
    return count;
  }
  Result<uint32_t> place(size_t size, bool strict) {
    if (size == 0) return fail(ErrorCode::kArtifact, "path program: there is no base to refer to");
    NOTP_ASSIGN(const uint64_t step, number(size - 1 - last_place_));
    if (strict && step == 0 && !first_)
      return fail(ErrorCode::kArtifact, "path program: one place twice");
    first_ = false;
    last_place_ += static_cast<uint32_t>(step);
    return last_place_;
  }
  Result<uint32_t> file(bool strict) { return place(base_.files.size(), strict); }
  Result<uint32_t> folder(bool strict) { return place(base_.folders.size(), strict); }
  Result<uint64_t> size() { return number(limits::kBlobBytesMax); }
  Result<uint64_t> size_like(uint32_t file) {
    NOTP_ASSIGN(const uint64_t coded, number(2 * limits::kBlobBytesMax + 1));
    const int64_t delta = unzigzag(coded);
    const int64_t bytes = static_cast<int64_t>(base_.files[file]->second.bytes) + delta;
    if (bytes < 0 || static_cast<uint64_t>(bytes) > limits::kBlobBytesMax)
      return fail(ErrorCode::kArtifact, "path program: a size out of range");
    return static_cast<uint64_t>(bytes);
  }
  Result<std::string> path() {
    NOTP_ASSIGN(const uint64_t anchor, number(base_.files.size()));
    const std::string_view from = anchor == 0 ? last_path_ : base_.files[anchor - 1]->first;
    NOTP_ASSIGN(const uint64_t shared, number(std::min(from.size(), limits::kPathBytesMax)));
    NOTP_ASSIGN(const uint64_t rest, number(limits::kPathBytesMax - shared));
    auto suffix = take_bytes(in_, rest);
    if (!suffix) return fail(ErrorCode::kArtifact, "path program: " + suffix.error().message);
    std::string out(from.substr(0, shared));
    out += *suffix;
    last_path_ = out;
    return out;
  }
  bool at_end() const { return in_.empty(); }

 private:
  ByteView in_;
  const BaseIndex& base_;
  uint64_t paths_left_;
  uint32_t last_place_ = 0;
  bool first_ = true;
  std::string last_path_;
};

void write_places(Writer& out, const std::vector<uint32_t>& places) {
  if (places.empty()) return;
  out.begin(places.size());
  for (const uint32_t place : places) out.place(place);
}

void write_placed(Writer& out, const std::vector<Program::Placed>& placed) {
  if (placed.empty()) return;
  out.begin(placed.size());
  for (const auto& [from, to] : placed) {
    out.place(from);
    out.path(to);
  }
}

void write_contents(Writer& out, const Program& program, Group group) {
  if (group == kModified && !program.modified.empty()) {
    out.begin(program.modified.size());
    for (const auto& entry : program.modified) out.place(entry.file);
    for (const auto& entry : program.modified) out.size_like(entry.bytes, entry.file);
  } else if (group == kAdded && !program.added.empty()) {
    out.begin(program.added.size());
    for (const auto& entry : program.added) out.path(entry.path);
    for (const auto& entry : program.added) out.number(entry.bytes);
  } else if (group == kAddedLike && !program.added_like.empty()) {
    out.begin(program.added_like.size());
    for (const auto& entry : program.added_like) {
      out.place(entry.file);
      out.path(entry.path);
      out.size_like(entry.bytes, entry.file);
    }
  }
}

uint32_t mask_of(const Program& p) {
  const bool present[kGroups] = {!p.modified.empty(),        !p.added.empty(),
                                 !p.removed_files.empty(),   !p.moved_folders.empty(),
                                 !p.removed_folders.empty(), !p.moved_files.empty(),
                                 !p.copied_files.empty(),    !p.copied_folders.empty(),
                                 !p.added_like.empty(),      !p.same.empty()};
  uint32_t mask = 0;
  for (uint32_t group = 0; group < kGroups; ++group)
    mask |= static_cast<uint32_t>(present[group]) << group;
  return mask;
}

Result<void> read_places(Reader& in, bool folders, std::vector<uint32_t>& out) {
  NOTP_ASSIGN(uint64_t count, in.begin(false));
  for (; count > 0; --count) {
    NOTP_ASSIGN(const uint32_t place, folders ? in.folder(true) : in.file(true));
    out.push_back(place);
  }
  return {};
}

Result<void> read_placed(Reader& in, bool folders, bool strict, std::vector<Program::Placed>& out) {
  NOTP_ASSIGN(uint64_t count, in.begin(true));
  for (; count > 0; --count) {
    NOTP_ASSIGN(const uint32_t from, folders ? in.folder(strict) : in.file(strict));
    NOTP_ASSIGN(std::string to, in.path());
    out.push_back({from, std::move(to)});
  }
  return {};
}

Result<void> read_modified(Reader& in, Program& program) {
  NOTP_ASSIGN(const uint64_t count, in.begin(true));
  for (uint64_t i = 0; i < count; ++i) {
    NOTP_ASSIGN(const uint32_t file, in.file(true));
    program.modified.push_back({file, 0});
  }
  for (auto& entry : program.modified) {
    NOTP_ASSIGN(entry.bytes, in.size_like(entry.file));
  }
  return {};
}

Result<void> read_added(Reader& in, Program& program) {
  NOTP_ASSIGN(const uint64_t count, in.begin(true));
  for (uint64_t i = 0; i < count; ++i) {
    NOTP_ASSIGN(std::string path, in.path());
    program.added.push_back({std::move(path), 0});
  }
  for (auto& entry : program.added) {
    NOTP_ASSIGN(entry.bytes, in.size());
  }
  return {};
}

Result<void> read_added_like(Reader& in, Program& program) {
  NOTP_ASSIGN(uint64_t count, in.begin(true));
  for (; count > 0; --count) {
    NOTP_ASSIGN(const uint32_t file, in.file(false));
    NOTP_ASSIGN(std::string path, in.path());
    NOTP_ASSIGN(const uint64_t bytes, in.size_like(file));
    program.added_like.push_back({file, std::move(path), bytes});
  }
  return {};
}

Result<void> read_same(Reader& in, Program& program) {
  NOTP_ASSIGN(uint64_t count, in.begin(true));
  for (; count > 0; --count) {
    NOTP_ASSIGN(const uint32_t content, in.place(program.contents(), false));
    NOTP_ASSIGN(std::string path, in.path());
    program.same.push_back({content, std::move(path)});
  }
  return {};
}

Result<void> read_group(Reader& in, uint32_t group, Program& program) {
  switch (group) {
    case kModified:
      return read_modified(in, program);
    case kAdded:
      return read_added(in, program);
    case kRemovedFiles:
      return read_places(in, false, program.removed_files);
    case kMovedFolders:
      return read_placed(in, true, true, program.moved_folders);
    case kRemovedFolders:
      return read_places(in, true, program.removed_folders);
    case kMovedFiles:
      return read_placed(in, false, true, program.moved_files);
    case kCopiedFiles:
      return read_placed(in, false, false, program.copied_files);
    case kCopiedFolders:
      return read_placed(in, true, false, program.copied_folders);
    case kAddedLike:
      return read_added_like(in, program);
    default:
      return read_same(in, program);
  }
}

}  // namespace

Bytes encode_program(const Program& program, const BaseIndex& base) {
  const uint32_t mask = mask_of(program);
  if (mask == 0) return {};
  Writer out(base);
  out.number(mask);
  write_contents(out, program, kModified);
  write_contents(out, program, kAdded);
  write_places(out, program.removed_files);
  write_placed(out, program.moved_folders);
  write_places(out, program.removed_folders);
  write_placed(out, program.moved_files);
  write_placed(out, program.copied_files);
  write_placed(out, program.copied_folders);
  write_contents(out, program, kAddedLike);
  if (!program.same.empty()) {
    out.begin(program.same.size());
    for (const auto& entry : program.same) {
      out.place(entry.content);
      out.path(entry.path);
    }
  }
  return out.take();
}

uint64_t program_bytes_max(const BaseIndex& base, uint64_t paths_max) {
  // For a written path: anchor, shared, length, source and size in at most 5 bytes each, suffix.
  constexpr uint64_t kPerPath = 5 * 5 + limits::kPathBytesMax;
  constexpr uint64_t kPerRemoved = 5;
  constexpr uint64_t kMaskAndCounts = 5 * (1 + kGroups);
  return kMaskAndCounts + kPerPath * paths_max +
         kPerRemoved * (base.files.size() + base.folders.size());
}

Result<Program> parse_program(ByteView bytes, const BaseIndex& base, uint64_t paths_max) {
  Program program;
  if (bytes.empty()) return program;
  Reader in(bytes, base, paths_max);
  NOTP_ASSIGN(const uint64_t mask, in.number((1U << kGroups) - 1));
  if (mask == 0) return fail(ErrorCode::kArtifact, "path program: an empty one has no bytes");
  for (uint32_t group = 0; group < kGroups; ++group)
    if (mask >> group & 1) NOTP_TRY(read_group(in, group, program));
  if (!in.at_end()) return fail(ErrorCode::kArtifact, "path program: bytes after its end");
  return program;
}

namespace {

class Runner {
 public:
  Runner(const BaseIndex& base, const ApplyLimits& limits) : base_(base), limits_(limits) {
    for (const BaseFile* file : base.files)
      outline_.emplace_hint(outline_.end(), file->first, Slot{file->second, Slot::kFromBase});
  }

  void remove_file(uint32_t file) { outline_.erase(base_.files[file]->first); }
  void remove_folder(uint32_t folder) {
    const std::string prefix = folder_prefix(base_.folders[folder]);
    auto at = outline_.lower_bound(prefix);
    while (at != outline_.end() && at->first.starts_with(prefix)) at = outline_.erase(at);
  }
  Result<void> place_file(const Program::Placed& placed) {
    return write(placed.to, {base_.files[placed.from]->second, Slot::kFromBase});
  }
  Result<void> place_folder(const Program::Placed& placed) {
    const std::string_view from = base_.folders[placed.from];
    const size_t cut = folder_prefix(from).size();
    const std::string to = folder_prefix(placed.to);
    const auto [first, last] = base_.below(from);
    for (size_t i = first; i < last; ++i) {
      const auto& [path, entry] = *base_.files[i];
      NOTP_TRY(write(to + path.substr(cut), {entry, Slot::kFromBase}));
    }
    return {};
  }
  Result<void> modify(const Program::Modified& modified, size_t content) {
    const auto at = outline_.find(base_.files[modified.file]->first);
    if (at == outline_.end())
      return fail(ErrorCode::kArtifact, "path program: modifies a file that it removes");
    at->second = {{Hash{}, modified.bytes}, content};
    return {};
  }
  Result<void> write(std::string path, Slot slot) {
    if (outline_.size() >= limits_.file_count)
      return fail(
          ErrorCode::kArtifact,
          fmt::format("an artifact makes more than the {} files signed for", limits_.file_count));
    if (!outline_.try_emplace(std::move(path), slot).second)
      return fail(ErrorCode::kArtifact, "path program: writes a path that is taken");
    return {};
  }
  Result<Outline> finish() {
    uint64_t total = 0;
    for (const auto& [path, slot] : outline_) total += slot.entry.bytes;
    if (total > limits_.total_bytes || outline_.size() > limits_.file_count)
      return fail(ErrorCode::kArtifact,
                  fmt::format("an artifact makes {} bytes in {} files; signed are {} in {}", total,
                              outline_.size(), limits_.total_bytes, limits_.file_count));
    return std::move(outline_);
  }

 private:
  const BaseIndex& base_;
  const ApplyLimits& limits_;
  Outline outline_;
};

}  // namespace

Result<Outline> run_program(const Program& p, const BaseIndex& base, const ApplyLimits& limits) {
  Runner run(base, limits);
  for (const uint32_t file : p.removed_files) run.remove_file(file);
  for (const auto& placed : p.moved_files) run.remove_file(placed.from);
  for (const uint32_t folder : p.removed_folders) run.remove_folder(folder);
  for (const auto& placed : p.moved_folders) run.remove_folder(placed.from);
  for (const auto* placed : {&p.moved_folders, &p.copied_folders})
    for (const auto& entry : *placed) NOTP_TRY(run.place_folder(entry));
  for (const auto* placed : {&p.moved_files, &p.copied_files})
    for (const auto& entry : *placed) NOTP_TRY(run.place_file(entry));
  std::vector<uint64_t> sizes;
  for (const auto& entry : p.modified) {
    NOTP_TRY(run.modify(entry, sizes.size()));
    sizes.push_back(entry.bytes);
  }
  const auto add = [&](const std::string& path, uint64_t bytes) {
    const size_t content = sizes.size();
    sizes.push_back(bytes);
    return run.write(path, {{Hash{}, bytes}, content});
  };
  for (const auto& entry : p.added) NOTP_TRY(add(entry.path, entry.bytes));
  for (const auto& entry : p.added_like) NOTP_TRY(add(entry.path, entry.bytes));
  for (const auto& entry : p.same)
    NOTP_TRY(run.write(entry.path, {{Hash{}, sizes[entry.content]}, entry.content}));
  return run.finish();
}

}  // namespace notp::delta
