#include "tools/notp/git/git_clone.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kTagBytesMax = 1 << 20;
constexpr size_t kFolderBytesMax = 64 << 20;  // kModelFilesMax names in one folder
// A line of its own: the lines for people hold texts of others.
constexpr std::string_view kEnvelopeBegin = "\n-----BEGIN NOTP ENVELOPE-----\n";
constexpr std::string_view kEnvelopeEnd = "-----END NOTP ENVELOPE-----\n";

Result<Bytes> envelope_in(std::string_view message) {
  const size_t begin = message.find(kEnvelopeBegin), end = message.rfind(kEnvelopeEnd);
  if (begin == message.npos || end == message.npos || end < begin)
    return fail(ErrorCode::kCorrupt, "it holds no NOTP envelope");
  const size_t first = begin + kEnvelopeBegin.size();
  auto envelope = from_base64(message.substr(first, end - first));
  if (!envelope) return fail(ErrorCode::kCorrupt, "its envelope is not base64");
  return envelope;
}

}  // namespace

Result<GitClone> GitClone::open(const fs::path& path, const Environment& environment) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    return fail(ErrorCode::kNotFound, fmt::format("there is no folder {}", path.string()));
  Environment variables = git_environment(environment);
  variables["GIT_CEILING_DIRECTORIES"] = fs::absolute(path, error).parent_path().string();
  NOTP_ASSIGN(GitObjects objects, GitObjects::open(path, variables));
  // git exits at once when it finds no repository.
  if (!objects.read("refs/heads/main", kTagBytesMax))
    return std::unexpected(Error{
        ErrorCode::kNotFound,
        fmt::format("git reads no repository at {}", path.string()),
        {}}.with("hint", fmt::format("'git -C {} log' says why", path.string())));
  return GitClone(path, std::move(objects));
}

std::unexpected<Error> GitClone::corrupt(std::string what) const {
  return fail(ErrorCode::kCorrupt, fmt::format("{}: {}", path_.string(), what));
}

Result<std::optional<std::string>> GitClone::tag_message(const std::string& tag) {
  NOTP_ASSIGN(const std::optional<GitObjects::Object> object,
              objects_.read("refs/tags/" + tag, kTagBytesMax));
  if (!object) return std::nullopt;
  const size_t head = object->content.find("\n\n");
  if (object->type != "tag" || head == object->content.npos)
    return corrupt(fmt::format("{} is not an annotated tag", tag));
  return object->content.substr(head + 2);
}

Result<std::optional<Bytes>> GitClone::envelope(uint64_t version) {
  const std::string tag = fmt::format("v{}", version);
  NOTP_ASSIGN(const std::optional<std::string> message, tag_message(tag));
  if (!message) return std::nullopt;
  auto envelope = envelope_in(*message);
  if (!envelope) return corrupt(fmt::format("tag {}: {}", tag, envelope.error().message));
  return *std::move(envelope);
}

Result<std::optional<std::string>> GitClone::withdrawal(uint64_t version) {
  return tag_message(fmt::format("withdrawn/v{}", version));
}

Result<std::optional<std::string>> GitClone::commit(const std::string& name) {
  NOTP_ASSIGN(const std::optional<GitObjects::Object> object,
              objects_.read(name + "^{commit}", kTagBytesMax));
  if (!object) return std::nullopt;
  return object->id;
}

// --- content

struct GitClone::Reading {
  model::Files files;
  uint64_t bytes_left = 0;
  uint64_t files_left = 0;
};

Result<const std::vector<GitObjects::Entry>*> GitClone::folder(const std::string& id) {
  if (const auto known = folders_.find(id); known != folders_.end()) return &known->second;
  NOTP_ASSIGN(std::vector<GitObjects::Entry> entries, objects_.read_tree(id));
  for (const GitObjects::Entry& entry : entries)
    if (entry.mode != "100644" && !entry.is_folder())
      return corrupt(fmt::format("'{}' is neither file nor folder", printable(entry.name)));
  return &folders_.emplace(id, std::move(entries)).first->second;
}

Result<model::FileEntry> GitClone::file(const std::string& id, size_t bytes_max) {
  if (const auto known = files_.find(id); known != files_.end()) return known->second;
  const auto read = objects_.read(id, bytes_max);
  if (!read && read.error().code == ErrorCode::kLimit)
    return corrupt(fmt::format("{} has {}", id, read.error().message));
  if (!read) return std::unexpected(read.error());
  const std::optional<GitObjects::Object>& object = *read;
  if (!object || object->type != "blob") return corrupt(fmt::format("{} is no file", id));
  const model::FileEntry entry{model::blob_hash(object->content), object->content.size()};
  files_.emplace(id, entry);
  return entry;
}

// Recursion is bounded by kPathDepthMax.
Result<void> GitClone::read_folder(Reading& reading, const std::string& id,
                                   const std::string& prefix, size_t depth) {
  if (depth > limits::kPathDepthMax) return corrupt(fmt::format("'{}' is too deep", prefix));
  NOTP_ASSIGN(const std::vector<GitObjects::Entry>* entries, folder(id));
  for (const GitObjects::Entry& entry : *entries) {
    const std::string path = prefix + entry.name;
    if (entry.is_folder()) {
      NOTP_TRY(read_folder(reading, entry.id, path + "/", depth + 1));
      continue;
    }
    NOTP_ASSIGN(const model::FileEntry found,
                file(entry.id, std::min<uint64_t>(limits::kBlobBytesMax, reading.bytes_left)));
    if (found.bytes > reading.bytes_left || reading.files_left == 0)
      return fail(ErrorCode::kContentRoot,
                  fmt::format("at '{}' there is more than was signed", printable(path)));
    reading.bytes_left -= found.bytes;
    --reading.files_left;
    reading.files.emplace(path, found);
  }
  return {};
}

Result<model::Tree> GitClone::content(uint64_t version, const trust::Release& release) {
  NOTP_ASSIGN(const std::optional<GitObjects::Object> root,
              objects_.read(fmt::format("refs/tags/v{}^{{tree}}", version), kFolderBytesMax));
  if (!root) return corrupt(fmt::format("the tag v{} names no content", version));
  Reading reading{{}, release.total_bytes, release.file_count};
  NOTP_TRY(read_folder(reading, root->id, "", 0));
  auto tree = model::Tree::make(std::move(reading.files));
  if (!tree) return corrupt(tree.error().message);
  return tree;
}

Result<Bytes> GitClone::file(uint64_t version, const std::string& path, size_t bytes_max) {
  NOTP_ASSIGN(std::optional<GitObjects::Object> object,
              objects_.read(fmt::format("refs/tags/v{}:{}", version, path), bytes_max));
  if (!object || object->type != "blob")
    return corrupt(fmt::format("v{} has no file '{}'", version, printable(path)));
  return std::move(object->content);
}

}  // namespace notp::cli
