#include "tools/notp/git/git_trees.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/notp/publish/link_resolver.hpp"

namespace notp::cli {
namespace {

constexpr size_t kTreeBytesMax = 64 << 20;  // kModelFilesMax names in one folder

// File modes are ignored: "100644", "100755", and "100664" of old Git versions.
ModelSource::Kind kind_of(const GitObjects::Entry& entry) {
  if (entry.is_folder()) return ModelSource::Kind::kFolder;
  if (entry.mode == "120000") return ModelSource::Kind::kLink;
  return entry.mode.starts_with("100") ? ModelSource::Kind::kFile : ModelSource::Kind::kOther;
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name.size() <= kGitNameBytesMax && name != "." && name != ".." &&
         !name.contains('/');
}

}  // namespace

Result<const std::vector<GitObjects::Entry>*> GitTrees::entries(const std::string& id) {
  if (const auto known = entries_.find(id); known != entries_.end()) return &known->second;
  NOTP_ASSIGN(std::vector<GitObjects::Entry> found, objects_.read_tree(id));
  std::ranges::sort(found, {}, &GitObjects::Entry::name);
  for (const GitObjects::Entry& entry : found)
    if (!is_file_name(entry.name))
      return fail(ErrorCode::kInvalidModel,
                  fmt::format("the Git tree {} has an entry '{}', which is not a name of a file",
                              id, printable(entry.name)));
  const auto twin = std::ranges::adjacent_find(found, {}, &GitObjects::Entry::name);
  if (twin != found.end())
    return fail(ErrorCode::kInvalidModel,
                fmt::format("the Git tree {} has two entries '{}'", id, printable(twin->name)));
  return &entries_.emplace(id, std::move(found)).first->second;
}

Result<std::optional<std::string>> GitTrees::folder_in(const std::string& commit,
                                                       std::string_view path) {
  NOTP_ASSIGN(const std::optional<GitObjects::Object> object,
              objects_.read(commit + "^{tree}", kTreeBytesMax));
  if (!object || object->type != "tree")
    return fail(ErrorCode::kCorrupt, fmt::format("git does not have the commit {}", commit));
  std::string id = object->id;
  for (std::string_view rest = path; !rest.empty();) {
    const size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    rest.remove_prefix(slash == rest.npos ? rest.size() : slash + 1);
    NOTP_ASSIGN(const std::vector<GitObjects::Entry>* in, entries(id));
    const auto found = std::ranges::lower_bound(*in, name, {}, &GitObjects::Entry::name);
    if (found == in->end() || found->name != name || !found->is_folder()) return std::nullopt;
    id = found->id;
  }
  return id;
}

Result<model::Content> GitTrees::blob(const std::string& id, uint64_t bytes_max) {
  NOTP_ASSIGN(std::optional<GitObjects::Object> object, objects_.read(id, bytes_max));
  if (!object || object->type != "blob")
    return fail(ErrorCode::kCorrupt, fmt::format("git does not have the file {}", id));
  return std::make_shared<const Bytes>(std::move(object->content));
}

Result<model::FileEntry> GitTrees::file(const std::string& id, uint64_t bytes_max) {
  if (const auto known = files_.find(id); known != files_.end()) return known->second;
  NOTP_ASSIGN(const model::Content content, blob(id, bytes_max));
  const model::FileEntry entry{model::blob_hash(*content), content->size()};
  files_.emplace(id, entry);
  return entry;
}

GitTreeSource::GitTreeSource(GitTrees& trees, std::string tree, bool needs_content,
                             TimeMs deadline_ms)
    : trees_(trees),
      tree_(std::move(tree)),
      needs_content_(needs_content),
      deadline_ms_(deadline_ms) {}

Result<void> GitTreeSource::check_time() const {
  if (read_clock().boot_ms < deadline_ms_) return {};
  return fail(ErrorCode::kTimeout, "reading the commit took too long");
}

Result<std::vector<ModelSource::Entry>> GitTreeSource::list(const std::string& folder) {
  NOTP_TRY(check_time());
  NOTP_ASSIGN(const std::vector<GitObjects::Entry>* found, trees_.entries(id_of(folder)));
  std::vector<Entry> entries;
  for (const GitObjects::Entry& entry : *found) {
    std::string path = folder.empty() ? entry.name : folder + "/" + entry.name;
    path_bytes_ += path.size();
    if (path_bytes_ > kGitPathBytesMax)
      return fail(
          ErrorCode::kInvalidModel,
          fmt::format("the paths of the commit's files have more than {} bytes", kGitPathBytesMax));
    ids_.insert_or_assign(std::move(path), &entry.id);
    entries.push_back({entry.name, kind_of(entry)});
  }
  return entries;
}

Result<std::string> GitTreeSource::link_target(const std::string& path) {
  NOTP_TRY(check_time());
  const auto target = trees_.blob(id_of(path), kLinkBytesMax);
  if (target) return **target;
  if (target.error().code != ErrorCode::kLimit) return std::unexpected(target.error());
  return std::string(kLinkBytesMax + 1, '.');  // LinkResolver names the limit
}

Result<ModelSource::File> GitTreeSource::read(const std::string& path, uint64_t bytes_max) {
  NOTP_TRY(check_time());
  if (!needs_content_) {
    NOTP_ASSIGN(const model::FileEntry entry, trees_.file(id_of(path), bytes_max));
    return File{entry, nullptr};
  }
  NOTP_ASSIGN(model::Content content, trees_.blob(id_of(path), bytes_max));
  const model::FileEntry entry{model::blob_hash(*content), content->size()};
  return File{entry, std::move(content)};
}

Result<model::Content> GitTreeSource::text(const std::string& path, uint64_t bytes_max) {
  return trees_.blob(id_of(path), bytes_max);
}

}  // namespace notp::cli
