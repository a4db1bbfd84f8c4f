// One inotify instance that watches paths and all that they resolve through, inotify(7).
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "common/result.hpp"

namespace notp {

// One thread. Paths cannot be removed from an instance: start another one.
class Inotify {
 public:
  // kLimit: no instance or no descriptor is left; kIo.
  static Result<Inotify> open();
  Inotify(Inotify&& other) noexcept;
  Inotify& operator=(Inotify&& other) noexcept;
  ~Inotify();

  // Reports from now on any change of the content or the resolution of `path`, which is absolute.
  // After an error a part of it is not reported, the rest is: kLimit, no watch is left; kIo.
  Result<void> add(const std::filesystem::path& path);

  // Takes all reports and returns whether any of them concerns the paths. Does not block.
  bool take_reports();

  // Readable when there are reports. Owned by the instance.
  int descriptor() const { return descriptor_; }

 private:
  explicit Inotify(int descriptor) : descriptor_(descriptor) {}

  void follow(const std::filesystem::path& path);
  bool watch_itself(const std::filesystem::path& path, uint32_t mask);
  bool watch_name(const std::filesystem::path& folder, const std::string& name);
  bool watch(const std::filesystem::path& path, uint32_t mask, const std::string* name);
  bool concerns(int watch, const std::string& name) const;

  int descriptor_;
  std::map<int, std::set<std::string>> names_;  // by watch: the names watched in its folder
  Result<void> added_;                          // the first error of the current add()
};

}  // namespace notp
