#include "tools/notp/doctor/machine.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <sstream>

#include "common/size_text.hpp"

namespace notp::cli::doctor {
namespace {

namespace fs = std::filesystem;

// Less than this part of a disk, or this many bytes, is no room for a day's releases and records.
constexpr uint64_t kPartFree = 20;
constexpr uint64_t kBytesFree = 256 << 20;
constexpr uint64_t kInodesFree = 2'000;

struct Untrusted {
  uint64_t magic;  // statfs(2)
  std::string_view name, why;
};

constexpr Untrusted kFileSystems[] = {
    {0x01021994, "tmpfs", "it is in memory, and empty after a restart"},
    {0x858458f6, "ramfs", "it is in memory, and empty after a restart"},
    {0x794c7630, "overlayfs",
     "it is removed with its container, and mounts with `volatile` ignore "
     "fsync"},
    {0x6969, "NFS", "fsync and locks depend on the server and the mount's options"},
    {0xff534d42, "CIFS", "fsync and locks depend on the server and the mount's options"},
    {0xfe534d42, "SMB", "fsync and locks depend on the server and the mount's options"},
    {0x01021997, "9p", "fsync depends on the host"},
    {0x65735546, "FUSE", "fsync depends on the program behind it"},
};

fs::path nearest_existing(const fs::path& folder) {
  std::error_code error;
  fs::path at = fs::absolute(folder, error);
  while (!fs::exists(at, error) && at.has_relative_path()) at = at.parent_path();
  return at;
}

std::vector<std::string> command_line(const fs::path& process) {
  std::ifstream file(process / "cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  return words;
}

// Whether the words name the file as --config, seen from the folder of the process.
bool has_config(const std::vector<std::string>& words, const fs::path& process,
                const fs::path& config) {
  std::error_code error;
  const fs::path folder = fs::read_symlink(process / "cwd", error);
  for (size_t i = 1; i < words.size(); ++i) {
    std::string value;
    if (words[i].starts_with("--config=")) value = words[i].substr(sizeof("--config=") - 1);
    if ((words[i] == "--config" || words[i] == "-c") && i + 1 < words.size()) value = words[i + 1];
    if (value.empty()) continue;
    std::error_code ignored;
    return fs::weakly_canonical(folder / value, ignored) == config;
  }
  return false;
}

// The hard limit in "Max open files  soft  hard  files" (proc(5)).
std::optional<uint64_t> open_files_limit(const fs::path& process) {
  std::ifstream file(process / "limits");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("Max open files")) continue;
    std::istringstream words(line.substr(sizeof("Max open files") - 1));
    std::string soft, hard;
    words >> soft >> hard;
    if (hard == "unlimited") return std::numeric_limits<uint64_t>::max();
    uint64_t limit = 0;
    const char* const end = hard.data() + hard.size();
    if (std::from_chars(hard.data(), end, limit).ptr == end && !hard.empty()) return limit;
  }
  return std::nullopt;
}

void check_disk(const std::string& name, const fs::path& folder, Diagnosis& diagnosis) {
  const fs::path at = nearest_existing(folder);
  struct statvfs room{};
  struct statfs kind{};
  if (::statvfs(at.c_str(), &room) != 0 || ::statfs(at.c_str(), &kind) != 0)
    return diagnosis.cannot_check(fmt::format("the disk of {} cannot be looked at", at.string()));
  const std::string path = folder.string();
  const uint64_t free = room.f_bavail * room.f_frsize, total = room.f_blocks * room.f_frsize;
  if (free < std::max(total / kPartFree, kBytesFree))
    diagnosis.add("disk_space", path,
                  fmt::format("{} of {} are free for {}", size_text(free), size_text(total), name),
                  "make room, or move the folder to a larger disk");
  // Some file systems, as btrfs, count no inodes.
  if (room.f_files != 0 && room.f_favail < kInodesFree)
    diagnosis.add("disk_inodes", path,
                  fmt::format("{} inodes are free for {}", human_count(room.f_favail), name),
                  "remove small files, or move the folder to another disk");
  const auto magic = static_cast<uint64_t>(static_cast<uint32_t>(kind.f_type));
  const auto found = std::ranges::find(kFileSystems, magic, &Untrusted::magic);
  if (found != std::end(kFileSystems))
    diagnosis.add("file_system", path,
                  fmt::format("{} is on {}: {}", name, found->name, found->why),
                  "put the folder on a disk of this machine, as ext4 or XFS");
}

}  // namespace

void check_key_mode(const fs::path& key, Diagnosis& diagnosis) {
  struct stat facts{};
  if (key.empty() || ::stat(key.c_str(), &facts) != 0) return;
  // A group that may read it is how a service gets a key that an authority's tool writes.
  if ((facts.st_mode & (S_IRWXO | S_IWGRP)) == 0) return;
  diagnosis.add("key_mode", key.string(),
                fmt::format("the private key has mode {:04o}", facts.st_mode & 07777U),
                "let its owner alone read it; make a new key if others may have read it");
}

void check_keys_and_disks(const config::Section& facts, Diagnosis& diagnosis) {
  for (const std::string& key : facts.texts("keys")) check_key_mode(key, diagnosis);
  for (const config::Section& folder : facts.sections("folders"))
    check_disk(folder.text("name"), folder.text("path"), diagnosis);
}

std::optional<uint64_t> descriptors_of_process(std::string_view program, const fs::path& config) {
  std::error_code error;
  const fs::path wanted = fs::weakly_canonical(config, error);
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const fs::path process = at->path();
    if (process.filename().string().find_first_not_of("0123456789") != std::string::npos) continue;
    const std::vector<std::string> words = command_line(process);
    if (words.empty() || fs::path(words.front()).filename() != program ||
        !has_config(words, process, wanted))
      continue;
    if (const auto limit = open_files_limit(process)) return limit;
  }
  return std::nullopt;
}

uint64_t own_descriptors() {
  struct rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY)
    return std::numeric_limits<uint64_t>::max();
  return limit.rlim_max;
}

}  // namespace notp::cli::doctor
