// A separate disk mounted at a folder, unmounted by the destructor: small, or read-only.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/storage/files.hpp"

namespace notp {

class MountedDisk {
 public:
  // Without the right to mount, is_mounted() is false and the folder is an ordinary one. `inodes`
  // 0: as many as fit.
  MountedDisk(std::filesystem::path folder, int mebibytes, int inodes = 0)
      : folder_(std::move(folder)),
        size_(fmt::format("size={}m{}", mebibytes,
                          inodes == 0 ? std::string() : fmt::format(",nr_inodes={}", inodes))) {
    REQUIRE(make_folders(folder_));
    is_mounted_ = mount(0);
  }
  MountedDisk(const MountedDisk&) = delete;
  MountedDisk& operator=(const MountedDisk&) = delete;
  ~MountedDisk() {
    if (is_mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }

  bool is_mounted() const { return is_mounted_; }
  void set_read_only(bool read_only) const {
    REQUIRE(mount(MS_REMOUNT | (read_only ? MS_RDONLY : 0)));
  }
  // Uses up the free space.
  void fill() const {
    std::ofstream file(folder_ / "ballast", std::ios::binary);
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  // Frees the space again.
  void empty() const { std::filesystem::remove(folder_ / "ballast"); }

 private:
  bool mount(unsigned long flags) const {
    return ::mount("tmpfs", folder_.c_str(), "tmpfs", flags, size_.c_str()) == 0;
  }

  const std::filesystem::path folder_;
  const std::string size_;
  bool is_mounted_ = false;
};

}  // namespace notp
