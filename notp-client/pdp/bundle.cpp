#include "notp-client/pdp/bundle.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include "notp-client/pdp/bundle_layout.hpp"

namespace notp::pdp {
namespace {

struct ArchiveClose {
  void operator()(archive* open) const { archive_free(open); }
};
struct EntryClose {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

la_ssize_t append_block(archive*, void* out, const void* block, size_t bytes) {
  static_cast<Bytes*>(out)->append(static_cast<const char*>(block), bytes);
  return static_cast<la_ssize_t>(bytes);
}

// A tar.gz in memory. The caller sorts the paths; times, owners and modes are omitted.
class TarGz {
 public:
  TarGz() : archive_(archive_write_new()) {
    archive_write_set_format_pax_restricted(archive_.get());
    archive_write_add_filter_gzip(archive_.get());
    // The fastest level: the reader is on this machine.
    archive_write_set_options(archive_.get(), "gzip:!timestamp,gzip:compression-level=1");
    archive_write_open(archive_.get(), &bytes_, nullptr, append_block, nullptr);
  }

  Result<void> add(const std::string& path, ByteView content) {
    const std::unique_ptr<archive_entry, EntryClose> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), path.c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_mtime(entry.get(), 0, 0);
    if (archive_write_header(archive_.get(), entry.get()) != ARCHIVE_OK ||
        archive_write_data(archive_.get(), content.data(), content.size()) !=
            static_cast<la_ssize_t>(content.size()))
      return fail(ErrorCode::kInternal, fmt::format("cannot pack {} into a bundle: {}", path,
                                                    archive_error_string(archive_.get())));
    return {};
  }

  Result<Bytes> finish() {
    if (archive_write_close(archive_.get()) != ARCHIVE_OK)
      return fail(ErrorCode::kInternal,
                  fmt::format("cannot pack a bundle: {}", archive_error_string(archive_.get())));
    return std::move(bytes_);
  }

 private:
  Bytes bytes_;
  std::unique_ptr<archive, ArchiveClose> archive_;
};

}  // namespace

Result<OpaBundlePtr> build_opa_bundle(ActiveSetPtr active, const model::BlobLoader& load,
                                      rego::ModelChecker& engine, const BundleLane& lane) {
  TarGz tar;
  NOTP_ASSIGN(const BundleLayout layout,
              bundle_layout(*active, load, engine, LayoutUse::kOpa, lane));
  for (const auto& [path, file] : layout) {
    NOTP_ASSIGN(const model::Content content, content_of(path, file, load));
    NOTP_TRY(tar.add(path, *content));
  }
  NOTP_ASSIGN(Bytes packed, tar.finish());
  auto bundle = std::make_shared<OpaBundle>();
  bundle->revision = active->revision();
  bundle->etag = fmt::format("\"{}\"", sha256(packed).hex());
  bundle->body = std::make_shared<const Bytes>(std::move(packed));
  bundle->active_set = std::move(active);
  return bundle;
}

}  // namespace notp::pdp
