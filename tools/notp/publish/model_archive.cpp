#include "tools/notp/publish/model_archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <array>
#include <map>

#include "common/bytes.hpp"
#include "common/limits.hpp"
#include "common/storage/files.hpp"

namespace notp::cli {
namespace {

using Folders = std::map<std::string, std::map<std::string, ModelSource::Kind>>;

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidModel, std::move(what));
}

class ArchiveSource final : public ModelSource {
 public:
  ArchiveSource(Folders folders, std::map<std::string, model::Content> files)
      : folders_(std::move(folders)), files_(std::move(files)) {}

  Result<std::vector<Entry>> list(const std::string& folder) override {
    std::vector<Entry> entries;
    if (const auto found = folders_.find(folder); found != folders_.end())
      for (const auto& [name, kind] : found->second) entries.push_back({name, kind});
    return entries;
  }
  Result<std::string> link_target(const std::string& path) override {
    return fail(ErrorCode::kInternal, fmt::format("{} is not a link", path));
  }
  Result<File> read(const std::string& path, uint64_t bytes_max) override {
    NOTP_ASSIGN(model::Content content, text(path, bytes_max));
    const model::FileEntry entry{model::blob_hash(*content), content->size()};
    return File{entry, std::move(content)};
  }
  Result<model::Content> text(const std::string& path, uint64_t bytes_max) override {
    const auto found = files_.find(path);
    if (found == files_.end()) return fail(ErrorCode::kNotFound, path);
    if (found->second->size() > bytes_max)
      return fail(ErrorCode::kLimit,
                  fmt::format("{} bytes, {} are allowed", found->second->size(), bytes_max));
    return found->second;
  }

 private:
  Folders folders_;
  std::map<std::string, model::Content> files_;
};

class ArchiveReader {
 public:
  explicit ArchiveReader(const Bytes& packed) : packed_(packed), archive_(archive_read_new()) {}

  Result<std::unique_ptr<ModelSource>> run() {
    archive_read_support_filter_gzip(archive_.get());
    archive_read_support_format_tar(archive_.get());
    if (archive_read_open_memory(archive_.get(), packed_.data(), packed_.size()) != ARCHIVE_OK)
      return broken();
    folders_[""];
    while (true) {
      archive_entry* entry = nullptr;
      const int read = archive_read_next_header(archive_.get(), &entry);
      if (read == ARCHIVE_EOF) break;
      if (read < ARCHIVE_WARN) return broken();
      if (++entries_ > kArchiveEntriesMax)
        return refuse(fmt::format("more than {} entries", kArchiveEntriesMax));
      NOTP_TRY(add(entry));
    }
    if (from_root_ != 0 && from_root_ != entries_)
      return refuse("some names start with \"/\" and others do not");
    return std::make_unique<ArchiveSource>(std::move(folders_), std::move(files_));
  }

 private:
  struct Close {
    void operator()(archive* open) const { archive_read_free(open); }
  };

  std::unexpected<Error> broken() const {
    const char* const why = archive_error_string(archive_.get());
    return refuse(fmt::format("not a tar or tar.gz archive that can be read: {}",
                              printable(why != nullptr ? why : "it ends too early")));
  }

  Result<void> add(archive_entry* entry) {
    const char* const raw = archive_entry_pathname(entry);
    std::string_view name = raw != nullptr ? raw : "";
    const std::string shown = printable(name, limits::kPathBytesMax);
    if (name.size() > kArchiveNameBytesMax)
      return refuse(fmt::format("\"{}\" is longer than {} bytes", shown, kArchiveNameBytesMax));
    const auto type = archive_entry_filetype(entry);
    if (archive_entry_hardlink(entry) != nullptr || (type != AE_IFREG && type != AE_IFDIR))
      return refuse(fmt::format("\"{}\" is a link or a device; an archive holds files", shown));
    if (name.starts_with('/')) {
      ++from_root_;
      name.remove_prefix(1);
    }
    while (name.starts_with("./")) name.remove_prefix(2);
    while (name.ends_with('/')) name.remove_suffix(1);
    if (name.empty() || name == ".") return {};
    NOTP_TRY(add_folders(name, shown));
    if (type == AE_IFDIR) return add_child(name, shown, ModelSource::Kind::kFolder);
    NOTP_TRY(add_child(name, shown, ModelSource::Kind::kFile));
    NOTP_ASSIGN(files_[std::string(name)], read_content(shown));
    return {};
  }

  Result<void> add_folders(std::string_view name, const std::string& shown) {
    size_t depth = 0;
    for (size_t begin = 0; begin <= name.size();) {
      const size_t slash = std::min(name.find('/', begin), name.size());
      const std::string_view segment = name.substr(begin, slash - begin);
      if (segment.empty() || segment == "." || segment == "..")
        return refuse(fmt::format("\"{}\" has a \"..\" or an empty name in its path", shown));
      if (++depth > kScanDepthMax) return refuse(fmt::format("\"{}\" is too deep", shown));
      if (slash < name.size())
        NOTP_TRY(add_child(name.substr(0, slash), shown, ModelSource::Kind::kFolder));
      begin = slash + 1;
    }
    return {};
  }

  Result<void> add_child(std::string_view path, const std::string& shown, ModelSource::Kind kind) {
    const size_t slash = path.rfind('/');
    const std::string folder(path.substr(0, slash == path.npos ? 0 : slash));
    const std::string name(path.substr(slash == path.npos ? 0 : slash + 1));
    const auto [known, is_new] = folders_[folder].try_emplace(name, kind);
    const bool is_again = !is_new && kind == ModelSource::Kind::kFile;
    if (known->second != kind || is_again)
      return refuse(fmt::format("\"{}\" is there twice", shown));
    if (kind == ModelSource::Kind::kFolder) folders_[std::string(path)];
    if (folders_.size() > kArchiveEntriesMax)
      return refuse(fmt::format("more than {} folders", kArchiveEntriesMax));
    return {};
  }

  Result<model::Content> read_content(const std::string& shown) {
    Bytes content;
    std::array<char, 64 << 10> block;
    while (true) {
      const la_ssize_t got = archive_read_data(archive_.get(), block.data(), block.size());
      if (got < 0) return broken();
      if (got == 0) return std::make_shared<const Bytes>(std::move(content));
      unpacked_ += static_cast<uint64_t>(got);
      if (unpacked_ > limits::kModelBytesMax)
        return refuse(
            fmt::format("\"{}\": more than {} bytes in it", shown, limits::kModelBytesMax));
      if (unpacked_ > kArchiveRatioFromBytes && unpacked_ / kArchiveRatioMax > packed_.size())
        return refuse(fmt::format("\"{}\": unpacks to more than {} times the archive's bytes",
                                  shown, kArchiveRatioMax));
      content.append(block.data(), static_cast<size_t>(got));
    }
  }

  const Bytes& packed_;
  std::unique_ptr<archive, Close> archive_;
  Folders folders_;
  std::map<std::string, model::Content> files_;
  size_t entries_ = 0, from_root_ = 0;
  uint64_t unpacked_ = 0;
};

}  // namespace

Result<std::unique_ptr<ModelSource>> open_model_archive(const std::string& path) {
  auto packed = read_file(path, kArchiveFileBytesMax);
  if (!packed && packed.error().code == ErrorCode::kLimit)
    return refuse(fmt::format("{}: more than {} bytes", path, kArchiveFileBytesMax));
  if (!packed) return std::unexpected(std::move(packed).error());
  auto source = ArchiveReader(*packed).run();
  if (!source) source.error().message = fmt::format("{}: {}", path, source.error().message);
  return source;
}

}  // namespace notp::cli
