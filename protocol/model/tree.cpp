#include "protocol/model/tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "protocol/model/clash.hpp"
#include "protocol/model/path.hpp"

namespace notp::model {
namespace {

using namespace std::string_view_literals;

enum class EntryKind : uint8_t { kBlob = 1, kFolder = 2 };

// Hashes folders in one pass over paths in byte order: files of one folder are adjacent, so only
// the folders of the current path are open.
class RootBuilder {
 public:
  explicit RootBuilder(std::map<std::string, Hash, std::less<>>& folders) : folders_(folders) {
    open_.emplace_back();
  }

  void add(std::string_view path, const Hash& hash) {
    const size_t slash = path.rfind('/');
    const std::string_view folder = slash == std::string_view::npos ? ""sv : path.substr(0, slash);
    enter(folder);
    open_.back().entries.push_back({path.substr(slash + 1), EntryKind::kBlob, hash});
  }

  Hash finish() {
    while (open_.size() > 1) close();
    const Hash root = hash_of(open_.back().entries);
    folders_.emplace("", root);
    return root;
  }

 private:
  // Names are views into the paths of the tree under construction.
  struct Entry {
    std::string_view name;
    EntryKind kind;
    Hash hash;
  };
  struct Folder {
    std::string_view path;
    std::vector<Entry> entries;
  };

  static bool is_inside(std::string_view path, std::string_view folder) {
    return folder.empty() || path == folder ||
           (path.starts_with(folder) && path[folder.size()] == '/');
  }

  void enter(std::string_view folder) {
    while (!is_inside(folder, open_.back().path)) close();
    while (open_.back().path != folder) {
      const size_t at = open_.back().path.empty() ? 0 : open_.back().path.size() + 1;
      open_.push_back({folder.substr(0, folder.find('/', at)), {}});
    }
  }

  void close() {
    Folder closed = std::move(open_.back());
    open_.pop_back();
    const Hash hash = hash_of(closed.entries);
    folders_.emplace(closed.path, hash);
    open_.back().entries.push_back(
        {closed.path.substr(closed.path.rfind('/') + 1), EntryKind::kFolder, hash});
  }

  // Sorted here: byte order of whole paths puts "a-b" before "a/b", byte order of names "a" first.
  static Hash hash_of(std::vector<Entry>& entries) {
    std::ranges::sort(entries, {}, &Entry::name);
    Sha256 sha;
    sha.update("notp.tree.v1\0"sv);
    Bytes head;
    for (const Entry& entry : entries) {
      head.assign(1, static_cast<char>(entry.kind));
      put_varint(head, entry.name.size());
      sha.update(head).update(entry.name).update(entry.hash.view());
    }
    return sha.finish();
  }

  std::map<std::string, Hash, std::less<>>& folders_;
  std::vector<Folder> open_;  // from the root down
};

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidModel, std::move(message));
}

}  // namespace

Hash blob_hash(ByteView content) {
  Bytes head("notp.blob.v1\0"sv);
  const auto size = static_cast<uint64_t>(content.size());
  for (int shift = 56; shift >= 0; shift -= 8) head.push_back(static_cast<char>(size >> shift));
  return Sha256().update(head).update(content).finish();
}

Result<Tree> Tree::make(Files files) {
  if (files.size() > limits::kModelFilesMax)
    return invalid(fmt::format("the model has {} files, {} are allowed", files.size(),
                               limits::kModelFilesMax));
  Tree tree;
  for (const auto& [path, entry] : files) {
    NOTP_TRY(check_path(path));
    if (entry.bytes > limits::kBlobBytesMax)
      return invalid(
          fmt::format("{} has {} bytes, {} are allowed", path, entry.bytes, limits::kBlobBytesMax));
    tree.total_bytes_ += entry.bytes;
    if (tree.total_bytes_ > limits::kModelBytesMax)
      return invalid(
          fmt::format("the model has more than the {} bytes allowed", limits::kModelBytesMax));
  }
  if (const auto clashes = find_clashes(files); !clashes.empty())
    return invalid(clashes.front().message);
  tree.files_ = std::move(files);
  RootBuilder root(tree.folders_);
  for (const auto& [path, entry] : tree.files_) root.add(path, entry.hash);
  tree.content_root_ = root.finish();
  return tree;
}

const FileEntry* Tree::find(std::string_view path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? nullptr : &found->second;
}

BlobLoader ModelContent::loader() const {
  return [blobs = blobs](const Hash& hash) -> Result<Content> {
    const auto found = blobs.find(hash);
    if (found == blobs.end())
      return fail(ErrorCode::kNotFound, fmt::format("content {} is not here", hash.brief()));
    return found->second;
  };
}

}  // namespace notp::model
