// A ledger's Git repository or a clone of it, read through the stock git program: what an auditor
// has when there is no registry.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/statements.hpp"
#include "tools/notp/git/git_program.hpp"

namespace notp::cli {

// Nothing that it reads is trusted. One thread.
class GitClone {
 public:
  // `path`: a bare repository, or a clone with a working tree. kNotFound when it is no repository;
  // kUsage when there is no git.
  static Result<GitClone> open(const std::filesystem::path& path, const Environment& environment);

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
  struct Reading;

  GitClone(std::filesystem::path path, GitObjects objects)
      : path_(std::move(path)), objects_(std::move(objects)) {}
  Result<std::optional<std::string>> tag_message(const std::string& tag);
  Result<const std::vector<GitObjects::Entry>*> folder(const std::string& id);
  Result<FileEntry> file(const std::string& id, size_t bytes_max);
  Result<void> read_folder(Reading& reading, const std::string& id, const std::string& prefix,
                           size_t depth);
  std::unexpected<Error> corrupt(std::string what) const;

  std::filesystem::path path_;
  GitObjects objects_;
  std::map<std::string, std::vector<GitObjects::Entry>> folders_;
  std::map<std::string, FileEntry> files_;  // releases share most of their files
};

}  // namespace notp::cli
