// A ledger's Git repository or a clone of it, read through the stock git program: what an auditor
// has when there is no registry.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::cli {

// One `git cat-file --batch` for as long as it lives. Nothing that it reads is trusted: sizes have
// limits, replaced objects do not count, nothing is fetched. One thread.
class GitClone {
 public:
  // `path`: a bare repository, or a clone with a working tree. kNotFound when it is no repository;
  // kUsage when there is no git.
  static Result<GitClone> open(const std::filesystem::path& path, const Environment& environment);
  GitClone(GitClone&& other) noexcept;
  GitClone& operator=(GitClone&&) = delete;
  ~GitClone();

  // The envelope in the tag v<version>; nullopt when there is no such tag. kCorrupt.
  Result<std::optional<Bytes>> envelope(uint64_t version);
  // The words of the tag withdrawn/v<version>; nullopt when there is none.
  Result<std::optional<std::string>> withdrawal(uint64_t version);
  // The files of a release, hashed as a content root hashes them. kCorrupt, kContentRoot when there
  // is more than the release says.
  Result<Tree> content(uint64_t version, const Release& release);
  // The commit that a name stands for, hexadecimal; nullopt when there is none.
  Result<std::optional<std::string>> commit(const std::string& name);

 private:
  struct Object {
    std::string id;  // hexadecimal
    std::string type;
    Bytes content;
  };
  struct Entry {
    bool is_folder = false;
    std::string name;
    std::string id;
  };
  struct Reading;

  GitClone(std::filesystem::path path, pid_t child, int input, int output)
      : path_(std::move(path)), child_(child), input_(input), output_(output) {}
  // nullopt: missing.
  Result<std::optional<Object>> read(const std::string& name, size_t bytes_max);
  Result<std::string> read_line();
  Result<Bytes> read_bytes(size_t count);
  Result<std::optional<std::string>> tag_message(const std::string& tag);
  Result<const std::vector<Entry>*> folder(const std::string& id);
  Result<FileEntry> file(const std::string& id, size_t bytes_max);
  Result<void> read_folder(Reading& reading, const std::string& id, const std::string& prefix,
                           size_t depth);
  std::unexpected<Error> corrupt(std::string what) const;

  std::filesystem::path path_;
  pid_t child_ = -1;
  int input_ = -1, output_ = -1;
  Bytes buffer_;  // read from git, not yet used
  std::map<std::string, std::vector<Entry>> folders_;
  std::map<std::string, FileEntry> files_;  // releases share most of their files
};

}  // namespace notp::cli
