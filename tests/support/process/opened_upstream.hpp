// An upstream repository on a site, and a mirror's folder that reads it.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "tests/support/process/git_site.hpp"
#include "tools/notp/mirror/upstream.hpp"

namespace notp {

inline constexpr const char* kPolicy = "package shop\n\nallow := true\n";

// The test's own variables: PATH, and what a test adds.
inline Environment plain_environment() {
  const char* path = std::getenv("PATH");
  return {{"PATH", path != nullptr ? path : "/usr/bin:/bin"}};
}

struct OpenedUpstream {
  GitSite site;
  GitUpstream repository = site.make("policies");
  TemporaryFolder folder;
  cli::UpstreamConfig config = {.repository = site.url("policies"),
                                .branch = "main",
                                .tag_pattern = {},
                                .path = {},
                                .allowed_signers = {},
                                .revoked_signers = {},
                                .gpg_home = {},
                                .username = {},
                                .password_file = {},
                                .ssh_key = {},
                                .known_hosts = {},
                                .ca = site.authorities(),
                                .certificate = {},
                                .certificate_key = {}};

  cli::Upstream open(const Environment& environment = plain_environment()) const {
    auto opened = cli::Upstream::open(folder.path(), config, environment);
    REQUIRE_MESSAGE(opened, opened.error().message);
    return *std::move(opened);
  }
  // The files of the mirror itself.
  std::filesystem::path repository_here() const {
    return folder.path() / "upstream" / "repository.git";
  }
};

// look() and fetch(), which must succeed.
inline cli::UpstreamTip fetched(cli::Upstream& upstream) {
  auto tip = upstream.look();
  REQUIRE_MESSAGE(tip, tip.error().message);
  const auto done = upstream.fetch(*tip);
  REQUIRE_MESSAGE(done, done.error().message);
  return *tip;
}

inline std::vector<std::string> paths_of(cli::Upstream& upstream, const cli::UpstreamTip& tip) {
  const auto content = upstream.content(tip);
  REQUIRE_MESSAGE(content, content.error().message);
  std::vector<std::string> paths;
  for (const auto& [path, entry] : content->content.tree->files()) paths.push_back(path);
  return paths;
}

// A process that works for a mirror's folder: its arguments and its environment, with '\n' between
// them.
struct ProcessTexts {
  pid_t id = 0;
  std::string arguments, environment;
};

inline std::vector<ProcessTexts> processes_for(const std::filesystem::path& folder) {
  const auto read = [](const std::filesystem::path& file) {
    std::string text = read_text(file);
    std::ranges::replace(text, '\0', '\n');
    return text;
  };
  std::vector<ProcessTexts> out;
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc", error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.find_first_not_of("0123456789") != name.npos) continue;
    ProcessTexts texts{static_cast<pid_t>(std::stol(name)), read(at->path() / "cmdline"),
                       read(at->path() / "environ")};
    if (texts.environment.contains(folder.string())) out.push_back(std::move(texts));
  }
  return out;
}

// A file below the folder has the text.
inline bool is_in_files(const std::filesystem::path& folder, const std::string& text) {
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder))
    if (file.is_regular_file() && read_text(file.path()).contains(text)) return true;
  return false;
}

}  // namespace notp
