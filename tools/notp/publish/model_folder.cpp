#include "tools/notp/publish/model_folder.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/model/data.hpp"
#include "protocol/model/path.hpp"
#include "protocol/model/test_code.hpp"
#include "tools/notp/publish/model_archive.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

// Limits of looking at the target of a link that is not followed.
constexpr int kOutsideDepthMax = 4;
constexpr size_t kOutsideEntriesMax = 2'000;

class DiskSource final : public ModelSource {
 public:
  explicit DiskSource(fs::path root) : root_(std::move(root)) {}

  Result<std::vector<Entry>> list(const std::string& folder) override {
    std::vector<Entry> entries;
    for (const auto& child : fs::directory_iterator(root_ / folder))
      entries.push_back({child.path().filename().string(), kind_of(child.symlink_status().type())});
    return entries;
  }
  Result<std::string> link_target(const std::string& path) override {
    return fs::read_symlink(root_ / path).string();
  }
  Result<File> read(const std::string& path, uint64_t bytes_max) override {
    NOTP_ASSIGN(Bytes bytes, read_file(root_ / path, bytes_max));
    const model::FileEntry entry{model::blob_hash(bytes), bytes.size()};
    return File{entry, std::make_shared<const Bytes>(std::move(bytes))};
  }
  Result<model::Content> text(const std::string& path, uint64_t bytes_max) override {
    NOTP_ASSIGN(Bytes bytes, read_file(root_ / path, bytes_max));
    return std::make_shared<const Bytes>(std::move(bytes));
  }
  bool leads_to_policies(const std::string& link) override {
    std::error_code error;
    if (!fs::is_directory(root_ / link, error)) return false;
    size_t seen = 0;
    fs::recursive_directory_iterator entry(root_ / link,
                                           fs::directory_options::skip_permission_denied, error);
    for (; !error && entry != fs::recursive_directory_iterator() && ++seen <= kOutsideEntriesMax;
         entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      if (model::is_policy_file(name) || model::is_data_file(name)) return true;
      if (entry.depth() >= kOutsideDepthMax) entry.disable_recursion_pending();
    }
    return false;
  }

 private:
  static Kind kind_of(fs::file_type type) {
    switch (type) {
      case fs::file_type::regular:
        return Kind::kFile;
      case fs::file_type::directory:
        return Kind::kFolder;
      case fs::file_type::symlink:
        return Kind::kLink;
      default:
        return Kind::kOther;
    }
  }

  const fs::path root_;
};

}  // namespace

std::string model_name_of(const std::string& folder) {
  std::error_code error;
  const fs::path whole = fs::weakly_canonical(fs::absolute(folder, error), error);
  std::string name = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  for (const std::string_view end : {".tar.gz", ".tgz", ".tar"})
    if (name.ends_with(end)) name.resize(name.size() - end.size());
  return name.empty() ? "model" : model::compose_path(name);
}

Result<FolderContent> read_model_source(ModelSource& source, const ScanOptions& options,
                                        const std::string& shown) {
  auto scan = scan_model(source, options);
  if (!scan) {
    scan.error().message = fmt::format("{}: {}", shown, scan.error().message);
    return std::unexpected(std::move(scan).error());
  }
  NOTP_ASSIGN(model::Tree tree, model::Tree::make(std::move(scan->files)));
  return FolderContent{
      .content = {std::make_shared<const model::Tree>(std::move(tree)), std::move(scan->blobs)},
      .findings = std::move(scan->findings),
      .warnings = std::move(scan->warnings),
      .left_out = std::move(scan->left_out),
      .left_out_count = scan->left_out_count};
}

Result<FolderContent> read_model_folder(const std::string& folder) {
  try {
    if (fs::is_regular_file(folder)) {
      NOTP_ASSIGN(const auto archive, open_model_archive(folder));
      return read_model_source(*archive, {.name = model_name_of(folder), .is_bundle = true},
                               folder);
    }
    if (!fs::is_directory(folder))
      return fail(ErrorCode::kNotFound,
                  fmt::format("{} is neither a folder nor an archive", folder));
    DiskSource source{fs::path(folder)};
    return read_model_source(source, {.name = model_name_of(folder)}, folder);
  } catch (const fs::filesystem_error& error) {
    return fail(ErrorCode::kIo,
                fmt::format("cannot read the model folder {}: {}", folder, error.code().message()));
  }
}

}  // namespace notp::cli
