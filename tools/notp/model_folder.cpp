#include "tools/notp/model_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "common/files.hpp"
#include "common/limits.hpp"
#include "protocol/model/clash.hpp"
#include "protocol/model/path.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

class FolderReader {
 public:
  explicit FolderReader(fs::path root) : root_(std::move(root)) {}

  Result<FolderContent> run() {
    NOTP_TRY(read_folder(root_, ""));
    for (const PathClash& clash : find_clashes(files_)) {
      add_finding(clash.path, clash.rule, clash.message);
      files_.erase(clash.path);
    }
    NOTP_ASSIGN(Tree tree, Tree::make(std::move(files_)));
    out_.content.tree = std::make_shared<const Tree>(std::move(tree));
    return std::move(out_);
  }

 private:
  // Depth is bounded by check_path(), which every folder passes before it is entered.
  Result<void> read_folder(const fs::path& folder, const std::string& prefix) {
    for (const fs::path& child : sorted_children(folder)) {
      const std::string name = child.filename().string();
      const std::string path = prefix + name;
      if (is_beside_model(path)) continue;
      if (const auto checked = check_path(path); !checked) {
        add_finding(path, "path", checked.error().message);
        continue;
      }
      const fs::file_status status = fs::symlink_status(child);
      if (status.type() == fs::file_type::directory) {
        NOTP_TRY(read_folder(child, path + "/"));
      } else if (status.type() != fs::file_type::regular) {
        add_finding(path, "file-mode",
                    status.type() == fs::file_type::symlink
                        ? "a symbolic link; put the file itself here"
                        : "neither a file nor a folder");
      } else if ((status.permissions() & kExecutable) != fs::perms::none) {
        add_finding(path, "file-mode", "executable; nothing in a model runs by itself: chmod a-x");
      } else {
        NOTP_TRY(add_file(child, path));
      }
    }
    return {};
  }

  Result<void> add_file(const fs::path& file, const std::string& path) {
    if (files_.size() == limits::kModelFilesMax)
      return fail(ErrorCode::kInvalidModel, fmt::format("{} has more than the {} files allowed",
                                                        root_.string(), limits::kModelFilesMax));
    auto bytes = read_file(file, limits::kBlobBytesMax);
    if (!bytes && bytes.error().code == ErrorCode::kLimit) {
      add_finding(path, "file-size", bytes.error().message);
      return {};
    }
    if (!bytes) return std::unexpected(std::move(bytes).error());
    total_bytes_ += bytes->size();
    if (total_bytes_ > limits::kModelBytesMax)
      return fail(ErrorCode::kInvalidModel, fmt::format("{} has more than the {} bytes allowed",
                                                        root_.string(), limits::kModelBytesMax));
    const FileEntry entry{blob_hash(*bytes), bytes->size()};
    out_.content.blobs.try_emplace(entry.hash, std::make_shared<const Bytes>(*std::move(bytes)));
    files_.emplace(path, entry);
    return {};
  }

  void add_finding(const std::string& path, std::string rule, std::string message) {
    out_.findings.push_back(
        {printable(path, limits::kPathBytesMax), 0, 0, std::move(rule), std::move(message)});
  }

  static std::vector<fs::path> sorted_children(const fs::path& folder) {
    std::vector<fs::path> children;
    for (const auto& child : fs::directory_iterator(folder)) children.push_back(child.path());
    std::ranges::sort(children);
    return children;
  }

  static constexpr fs::perms kExecutable =
      fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;

  const fs::path root_;
  Files files_;
  uint64_t total_bytes_ = 0;
  FolderContent out_;
};

}  // namespace

bool is_beside_model(std::string_view path) { return path == ".git" || path == ".notp"; }

Result<FolderContent> read_model_folder(const std::string& folder) {
  try {
    if (!fs::is_directory(folder))
      return fail(ErrorCode::kNotFound, fmt::format("{} is not a folder", folder));
    return FolderReader(folder).run();
  } catch (const fs::filesystem_error& error) {
    return fail(ErrorCode::kIo,
                fmt::format("cannot read the model folder {}: {}", folder, error.code().message()));
  }
}

}  // namespace notp
