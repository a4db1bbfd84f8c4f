#include "common/asio/inotify.hpp"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <utility>

namespace notp {
namespace {

namespace fs = std::filesystem;

// The same number as the kernel follows, path_resolution(7).
constexpr int kLinksMax = 40;

// Moving or deleting replaces the folder at a path.
constexpr uint32_t kFolderItself = IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW;
constexpr uint32_t kNames = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
// On the file, not its folder: a mounted or linked file may be written elsewhere.
constexpr uint32_t kFileItself =
    IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF | IN_DONT_FOLLOW;

// Magic numbers of file systems that change without this kernel's knowledge, statfs(2).
constexpr std::array<uint32_t, 14> kReportNothing = {
    0x6969,      // NFS
    0x517B,      // SMB
    0xFE534D42,  // SMB 2
    0xFF534D42,  // CIFS
    0x01021997,  // 9P
    0x65735546,  // FUSE
    0x00C36400,  // Ceph
    0x5346414F,  // AFS
    0x73757245,  // Coda
    0x0BD00BD0,  // Lustre
    0x47504653,  // GPFS
    0x7461636F,  // OCFS2
    0x786F4256,  // a virtual machine's shared folders
    0x9FA0,      // proc
};

bool reports_changes(const fs::path& path) {
  struct statfs facts{};
  if (::statfs(path.c_str(), &facts) != 0) return true;  // gone: its name is watched
  return std::ranges::find(kReportNothing, static_cast<uint32_t>(facts.f_type)) ==
         kReportNothing.end();
}

std::unexpected<Error> cannot(std::string_view what, int error) {
  const bool limit = error == EMFILE || error == ENFILE || error == ENOSPC || error == ENOMEM;
  return fail(limit ? ErrorCode::kLimit : ErrorCode::kIo,
              fmt::format("{}: {}", what, std::strerror(error)));
}

void prepend(std::deque<std::string>& names, const fs::path& path) {
  std::deque<std::string> front;
  for (const fs::path& name : path.relative_path()) front.push_back(name.string());
  names.insert(names.begin(), front.begin(), front.end());
}

}  // namespace

Result<Inotify> Inotify::open() {
  const int descriptor = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (descriptor < 0) return cannot("inotify is not available", errno);
  return Inotify(descriptor);
}

Inotify::Inotify(Inotify&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      names_(std::move(other.names_)),
      added_(std::move(other.added_)) {}

Inotify& Inotify::operator=(Inotify&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(names_, other.names_);
  std::swap(added_, other.added_);
  return *this;
}

Inotify::~Inotify() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> Inotify::add(const fs::path& path) {
  added_ = {};
  follow(path);
  return added_;
}

// Resolves the path as the kernel does. Each step is watched before it is read, so that no change
// falls between the two.
void Inotify::follow(const fs::path& path) {
  std::deque<std::string> names;
  prepend(names, path);
  fs::path at = "/";
  for (int links = 0; !names.empty();) {
    const std::string name = std::move(names.front());
    names.pop_front();
    if (name.empty() || name == ".") continue;
    const fs::path next = name == ".." ? at.parent_path() : at / name;
    std::error_code failed;
    const bool folder = !names.empty() && fs::is_directory(fs::symlink_status(next, failed));
    // An existing folder is watched itself, so the names in its parent are irrelevant.
    if (name == ".." || (folder && watch_itself(next, kFolderItself))) {
      at = next;
      continue;
    }
    if (!watch_name(at, name)) return;
    if (fs::is_symlink(fs::symlink_status(next, failed))) {
      const fs::path target = fs::read_symlink(next, failed);
      if (failed || ++links > kLinksMax) return;
      prepend(names, target);
      if (target.is_absolute()) at = "/";
    } else {
      if (!watch_itself(next, names.empty() ? kFileItself : kFolderItself)) return;
      at = next;
    }
  }
}

bool Inotify::watch_itself(const fs::path& path, uint32_t mask) {
  return watch(path, mask, nullptr);
}

bool Inotify::watch_name(const fs::path& folder, const std::string& name) {
  return watch(folder, kNames | kFolderItself, &name);
}

// False: there is nothing of that kind; the watches on the way to it report when it appears.
bool Inotify::watch(const fs::path& path, uint32_t mask, const std::string* name) {
  const int watch = ::inotify_add_watch(descriptor_, path.c_str(), mask | IN_MASK_ADD);
  if (watch < 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return false;
    if (added_) added_ = cannot(fmt::format("{} cannot be watched", path.string()), errno);
    return true;
  }
  std::set<std::string>& names = names_[watch];
  if (name != nullptr) names.insert(*name);
  if (added_ && !reports_changes(path))
    added_ = fail(ErrorCode::kIo, fmt::format("{} is on a file system that may change without this "
                                              "kernel's doing",
                                              path.string()));
  return true;
}

bool Inotify::take_reports() {
  bool concerned = false;
  alignas(inotify_event) std::array<char, 4096> buffer;
  for (ssize_t bytes; (bytes = ::read(descriptor_, buffer.data(), buffer.size())) > 0;)
    for (ssize_t at = 0; at < bytes;) {
      const auto* report = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      concerned |= concerns(report->wd, report->len == 0 ? "" : report->name);
      at += static_cast<ssize_t>(sizeof(inotify_event) + report->len);
    }
  return concerned;
}

// Without a name the report is about the watched file or folder itself, or means that reports were
// lost.
bool Inotify::concerns(int watch, const std::string& name) const {
  if (name.empty()) return true;
  const auto names = names_.find(watch);
  return names != names_.end() && names->second.contains(name);
}

}  // namespace notp
