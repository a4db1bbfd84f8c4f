#include "notp-server/uploads/upload_budget.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/files.hpp"

namespace notp {

// A part of the budget.
class UploadBudget::Share {
 public:
  Share(UploadBudget& budget, std::string identity, Held held)
      : budget_(budget), identity_(std::move(identity)), held_(held) {}
  ~Share() { budget_.give_back(identity_, held_); }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

 private:
  UploadBudget& budget_;
  const std::string identity_;
  const Held held_;
};

namespace {

template <typename Share>
class SmallUpload final : public Upload {
 public:
  explicit SmallUpload(std::unique_ptr<Share> share) : share_(std::move(share)) {}

  Result<void> append(ByteView bytes) override {
    bytes_.append(bytes);
    return {};
  }
  Result<Bytes> take() override { return std::exchange(bytes_, {}); }

 private:
  std::unique_ptr<Share> share_;
  Bytes bytes_;
};

std::unexpected<Error> io_error(std::string_view doing, const std::filesystem::path& where) {
  return fail(ErrorCode::kIo, fmt::format("cannot {} a file for an upload in {}: {}", doing,
                                          where.string(), std::strerror(errno)));
}

template <typename Share>
class LargeUpload final : public Upload {
 public:
  LargeUpload(std::unique_ptr<Share> share, int file, std::filesystem::path folder)
      : share_(std::move(share)), file_(file), folder_(std::move(folder)) {}
  ~LargeUpload() override { ::close(file_); }

  Result<void> append(ByteView bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
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
          ::pread(file_, out.data() + done, out.size() - done, static_cast<off_t>(done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return io_error("read", folder_);
      done += static_cast<size_t>(got);
    }
    return out;
  }

 private:
  std::unique_ptr<Share> share_;
  const int file_;
  const std::filesystem::path folder_;
  size_t size_ = 0;
};

// Without a name from the start, or from the next line on where the file system knows no other way.
Result<int> nameless_file(const std::filesystem::path& folder) {
  NOTP_TRY(make_folders(folder));
  const int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  std::string name = (folder / "upload.XXXXXX").string();
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named < 0) return io_error("make", folder);
  ::unlink(name.c_str());
  return named;
}

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
  const std::scoped_lock lock(mutex_);
  const auto known = of_.find(identity);
  const uint64_t own = known == of_.end() ? 0 : known->second.*part;
  if (own + counted > identity_max) return no_room(bytes, identity, own, identity_max);
  if (held_.*part + counted > all_max) return no_room(bytes, "everybody", held_.*part, all_max);
  Held share;
  share.*part = counted;
  auto out = std::make_unique<Share>(*this, identity, share);
  of_[identity].*part += counted;
  held_.*part += counted;
  return out;
}

void UploadBudget::give_back(const std::string& identity, Held share) {
  const std::scoped_lock lock(mutex_);
  held_.small -= share.small;
  held_.large -= share.large;
  const auto own = of_.find(identity);
  own->second.small -= share.small;
  own->second.large -= share.large;
  if (own->second.small == 0 && own->second.large == 0) of_.erase(own);
}

Result<std::unique_ptr<Upload>> UploadBudget::open(const std::string& identity, uint64_t bytes) {
  NOTP_ASSIGN(std::unique_ptr<Share> share, reserve(identity, bytes));
  if (bytes <= limits_.small) return std::make_unique<SmallUpload<Share>>(std::move(share));
  NOTP_ASSIGN(const int file, nameless_file(folder_));
  return std::make_unique<LargeUpload<Share>>(std::move(share), file, folder_);
}

UploadBudget::Held UploadBudget::held() const {
  const std::scoped_lock lock(mutex_);
  return held_;
}

}  // namespace notp
