#include <fmt/format.h>
#include <git2.h>

#include <algorithm>
#include <map>
#include <vector>

#include "common/failpoint.hpp"
#include "common/storage/files.hpp"
#include "notp-server/registry/git_repository.hpp"
#include "notp-server/registry/git_text.hpp"
#include "notp-server/registry/repository_copy.hpp"

namespace notp::registry {
namespace {

namespace fs = std::filesystem;

// A file of a reference, HEAD, configuration; packed references of many releases are larger.
constexpr size_t kReferenceBytesMax = 64 << 10;
constexpr size_t kPackedReferencesBytesMax = 64 << 20;

// The contents of references by path ("refs/tags/v1"), and of the files beside them.
using References = std::map<std::string, Bytes>;

// The files below a folder as seen from there, sorted; those that vanish meanwhile are left out.
Result<std::vector<std::string>> names_below(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code vanished;
    if (it->is_regular_file(vanished))
      names.push_back(it->path().lexically_relative(folder).generic_string());
  }
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot list {}: {}", folder.string(), error.message()));
  std::ranges::sort(names);
  return names;
}

// Adds a file unless it is not there.
Result<void> read_into(References& out, const fs::path& repository, const std::string& path,
                       size_t bytes_max) {
  auto content = read_file(repository / path, bytes_max);
  if (content)
    out[path] = *std::move(content);
  else if (content.error().code != ErrorCode::kNotFound)
    return std::unexpected(std::move(content).error());
  return {};
}

Result<References> read_all_references(const fs::path& repository, const GitId& main) {
  References out;
  NOTP_ASSIGN(const std::vector<std::string> names, names_below(repository / "refs"));
  for (const std::string& name : names)
    if (!name.ends_with(".lock"))
      NOTP_TRY(read_into(out, repository, "refs/" + name, kReferenceBytesMax));
  NOTP_TRY(read_into(out, repository, "packed-refs", kPackedReferencesBytesMax));
  for (const char* name : {"HEAD", "config", "description"})
    NOTP_TRY(read_into(out, repository, name, kReferenceBytesMax));
  // As it was before the tags were listed.
  out[kMainRef] = git_hex(main) + "\n";
  return out;
}

Result<void> copy_packs(const fs::path& repository, const RepositorySink& sink) {
  const std::string folder = "objects/pack/";
  NOTP_ASSIGN(const std::vector<std::string> names, names_below(repository / folder));
  for (const std::string& name : names) {
    const std::string index = fs::path(name).replace_extension(".idx").string();
    // The index of a pack is named before it.
    if (!name.ends_with(".pack") || !std::ranges::binary_search(names, index)) continue;
    for (const std::string& file : {name, index})
      if (auto copied = sink.copy(repository / folder / file, folder + file); !copied)
        return std::unexpected(
            std::move(copied).error().in("while packs were copied (did 'git gc' run there?)"));
  }
  return {};
}

// What the commit says that main names.
Result<CopiedHead> read_head(const fs::path& folder, const GitId& main) {
  NOTP_ASSIGN(const OpenRepository repository, open_repository(folder));
  git_commit* raw = nullptr;
  const git_oid oid = to_oid(main);
  if (git_commit_lookup(&raw, repository.handle.get(), &oid) != 0)
    return git_failed("read main of " + folder.string());
  const GitCommitPtr commit(raw);
  auto text = parse_commit_text(git_commit_message(raw));
  if (!text) return std::unexpected(std::move(text).error().in("main of " + folder.string()));
  return CopiedHead{text->version, text->release_hash};
}

// Whether the reference is of a release above the head: of a publish that goes on meanwhile, or was
// cut off by a crash.
bool is_above(const std::string& path, uint64_t head) {
  return version_in(path, tag_ref) > head || version_in(path, withdrawn_ref) > head;
}

}  // namespace

Result<std::optional<CopiedHead>> copy_repository(const fs::path& from,
                                                  const RepositorySink& sink) {
  NOTP_TRY(start_git_library());
  NOTP_ASSIGN(const OpenRepository opened, open_references(from));
  NOTP_ASSIGN(const std::optional<GitId> main, read_main(opened));
  if (!main) return std::nullopt;
  NOTP_ASSIGN(const References references, read_all_references(from, *main));
  failpoint("backup.after_references");
  NOTP_TRY(copy_packs(from, sink));
  failpoint("backup.after_packs");
  NOTP_ASSIGN(const CopiedHead head, read_head(from, *main));
  for (const auto& [path, content] : references)
    if (!is_above(path, head.version)) NOTP_TRY(sink.put(path, content));
  return head;
}

}  // namespace notp::registry
