#include "notp-server/publish/upload_budget.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/descriptor.hpp"
#include "common/storage/files.hpp"

namespace notp::publish {

// An upload that holds its share of the budget.
class UploadBudget::Share final : public session::Upload {
 public:
  Share(UploadBudget& budget, std::string identity, Held held)
      : budget_(budget), identity_(std::move(identity)), held_(held) {}
  ~Share() override {
    upload_.reset();
    budget_.give_back(identity_, held_);
  }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  void hold(std::unique_ptr<session::Upload> upload) { upload_ = std::move(upload); }
  Result<void> append(ByteView bytes) override { return upload_->append(bytes); }
  Result<Bytes> take() override { return upload_->take(); }

 private:
  UploadBudget& budget_;
  const std::string identity_;
  const Held held_;
  std::unique_ptr<session::Upload> upload_;
};

namespace {

std::unexpected<Error> io_error(std::string_view doing, const std::filesystem::path& where) {
  return fail(ErrorCode::kIo, fmt::format("cannot {} a file for an upload in {}: {}", doing,
                                          where.string(), std::strerror(errno)));
}

class FileUpload final : public session::Upload {
 public:
  // Uses a file of `folder` without a name: from the start, or, if the file system does not support
  // that, unlinked right after its creation.
  static Result<std::unique_ptr<session::Upload>> make(const std::filesystem::path& folder) {
    NOTP_TRY(make_folders(folder));
    Descriptor file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file.is_open()) {
      std::string name = (folder / "upload.XXXXXX").string();  // filled in by mkostemp
      file = Descriptor(::mkostemp(name.data(), O_CLOEXEC));
      if (!file.is_open()) return io_error("make", folder);
      ::unlink(name.c_str());
    }
    return std::make_unique<FileUpload>(std::move(file), folder);
  }
  FileUpload(Descriptor file, std::filesystem::path folder)
      : file_(std::move(file)), folder_(std::move(folder)) {}

  Result<void> append(ByteView bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return io_error("write", folder_);
      bytes.remove_prefix(static_cast<size_t>(written));
      size_ += static_cast<size_t>(written);
    }
    return {};
  }

  Result<Bytes> take() override {
    Bytes out(size_, '\0');
    for (size_t done = 0; done < out.size();) {
      const ssize_t got =
          ::pread(file_.get(), out.data() + done, out.size() - done, static_cast<off_t>(done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return io_error("read", folder_);
      done += static_cast<size_t>(got);
    }
    return out;
  }

 private:
  const Descriptor file_;
  const std::filesystem::path folder_;
  size_t size_ = 0;
};

std::unexpected<Error> no_room(uint64_t bytes, const std::string& whose, uint64_t held,
                               uint64_t bytes_max) {
  return fail(ErrorCode::kOverloaded,
              fmt::format("no room for an upload of {} bytes: uploads of {} hold {} bytes of {}; "
                          "try again when they have ended",
                          bytes, whose, held, bytes_max));
}

}  // namespace

Result<std::unique_ptr<UploadBudget::Share>> UploadBudget::reserve(const std::string& identity,
                                                                   uint64_t bytes) {
  const bool small = bytes <= limits_.small;
  const uint64_t counted = small ? std::max(bytes, limits_.small_min) : bytes;
  const uint64_t identity_max = small ? limits_.small_identity : limits_.large_identity;
  const uint64_t all_max = small ? limits_.small_all : limits_.large_all;
  const auto part = small ? &Held::small : &Held::large;
  const MutexLock lock(mutex_);
  const auto known = of_.find(identity);
  const uint64_t own = known == of_.end() ? 0 : known->second.*part;
  if (own + counted > identity_max) return no_room(bytes, identity, own, identity_max);
  if (held_.*part + counted > all_max)
    return no_room(bytes, "all publishers", held_.*part, all_max);
  Held share;
  share.*part = counted;
  auto out = std::make_unique<Share>(*this, identity, share);
  of_[identity].*part += counted;
  held_.*part += counted;
  return out;
}

void UploadBudget::give_back(const std::string& identity, Held share) {
  const MutexLock lock(mutex_);
  held_.small -= share.small;
  held_.large -= share.large;
  const auto own = of_.find(identity);
  own->second.small -= share.small;
  own->second.large -= share.large;
  if (own->second.small == 0 && own->second.large == 0) of_.erase(own);
}

Result<std::unique_ptr<session::Upload>> UploadBudget::open(const std::string& identity,
                                                            uint64_t bytes) {
  NOTP_ASSIGN(std::unique_ptr<Share> share, reserve(identity, bytes));
  NOTP_ASSIGN(std::unique_ptr<session::Upload> upload,
              bytes <= limits_.small ? session::MemoryUploads().open(identity, bytes)
                                     : FileUpload::make(folder_));
  share->hold(std::move(upload));
  return share;
}

UploadBudget::Held UploadBudget::held() const {
  const MutexLock lock(mutex_);
  return held_;
}

}  // namespace notp::publish
