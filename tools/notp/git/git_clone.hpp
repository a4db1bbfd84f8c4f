// Reads a ledger's Git repository, or a clone of it, through the stock git program, for audits
// without a registry.
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

// Trusts nothing that it reads. One thread.
class GitClone {
 public:
  // `path`: a bare repository, or a clone with a working tree. kNotFound when it is not a
  // repository; kUsage when git is not installed.
  static Result<GitClone> open(const std::filesystem::path& path, const Environment& environment);

  // Returns the envelope in the tag v<version>; nullopt when there is no such tag. kCorrupt.
  Result<std::optional<Bytes>> envelope(uint64_t version);
  // Returns the text of the tag withdrawn/v<version>; nullopt when there is none.
  Result<std::optional<std::string>> withdrawal(uint64_t version);
  // Reads the files of a release, hashed as for a content root. kCorrupt; kContentRoot when the
  // repository has more than the release names.
  Result<model::Tree> content(uint64_t version, const trust::Release& release);
  // Returns one file of a release. kCorrupt, also for a file above `bytes_max`.
  Result<Bytes> file(uint64_t version, const std::string& path, size_t bytes_max);
  // Resolves a name to a commit, hexadecimal; nullopt when there is none.
  Result<std::optional<std::string>> commit(const std::string& name);

 private:
  struct Reading;

  GitClone(std::filesystem::path path, GitObjects objects)
      : path_(std::move(path)), objects_(std::move(objects)) {}
  Result<std::optional<std::string>> tag_message(const std::string& tag);
  Result<const std::vector<GitObjects::Entry>*> folder(const std::string& id);
  Result<model::FileEntry> file(const std::string& id, size_t bytes_max);
  Result<void> read_folder(Reading& reading, const std::string& id, const std::string& prefix,
                           size_t depth);
  std::unexpected<Error> corrupt(std::string what) const;

  std::filesystem::path path_;
  GitObjects objects_;
  std::map<std::string, std::vector<GitObjects::Entry>> folders_;
  std::map<std::string, model::FileEntry> files_;  // releases share most of their files
};

}  // namespace notp::cli
