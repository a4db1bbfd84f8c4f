#include "common/setup_report.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "common/log.hpp"
#include "common/storage/read_only_disk.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

bool may_write(const fs::path& folder) {
  return ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

}  // namespace

std::string SetupFinding::text() const {
  std::string out = subject.empty() ? problem : fmt::format("{}: {}", subject, problem);
  if (!advice.empty()) out += "; " + advice;
  return out;
}

void SetupReport::add(Kind kind, std::string subject, std::string problem, std::string advice,
                      ErrorCode code, std::string_view name) {
  findings_.push_back(
      {kind, std::move(subject), std::move(problem), std::move(advice), code, name});
}

void SetupReport::add(Kind kind, const Error& error, std::string advice, std::string_view name) {
  add(kind, {}, error.message, std::move(advice), error.code, name);
}

size_t SetupReport::errors() const {
  return static_cast<size_t>(std::ranges::count_if(
      findings_, [](const SetupFinding& finding) { return finding.kind != Kind::kWarning; }));
}

Result<void> SetupReport::may_start() const {
  std::string lines;
  std::optional<ErrorCode> code;
  for (const SetupFinding& finding : findings_) {
    if (finding.kind != Kind::kRefused) continue;
    lines += (lines.empty() ? "" : "\n") + finding.text();
    code = !code || code == finding.code ? finding.code : ErrorCode::kConfig;
  }
  if (!code) return {};
  return fail(*code, lines);
}

void SetupReport::log_rest() const {
  for (const SetupFinding& finding : findings_) {
    if (finding.kind == Kind::kUseless) log::error("setup_problem", {{"message", finding.text()}});
    if (finding.kind == Kind::kWarning) log::warn("setup_warning", {{"message", finding.text()}});
  }
}

std::string SetupReport::text() const {
  std::string out;
  for (const SetupFinding& finding : findings_)
    out += fmt::format("{}: {}\n", finding.kind == Kind::kWarning ? "warning" : "error",
                       finding.text());
  const size_t count = errors();
  if (count == 0) return out + "the configuration is valid\n";
  return out + fmt::format("{} problem{}\n", count, count == 1 ? "" : "s");
}

json::array SetupReport::document() const {
  json::array out;
  for (const SetupFinding& finding : findings_)
    out.push_back(json::object{{"name", finding.name},
                               {"severity", finding.kind == Kind::kWarning ? "warning" : "error"},
                               {"subject", finding.subject},
                               {"problem", finding.problem},
                               {"advice", finding.advice}});
  return out;
}

void check_data_folder(const std::string& folder, SetupReport& report) {
  using Kind = SetupFinding::Kind;
  std::error_code error;
  fs::path at = fs::absolute(folder, error);
  const bool is_there = fs::exists(at, error);
  while (!fs::exists(at, error) && at.has_relative_path()) at = at.parent_path();
  if (!fs::is_directory(at, error))
    return report.add(Kind::kRefused, folder, fmt::format("{} is not a folder", at.string()),
                      "name another data_dir, or move that file away", ErrorCode::kIo,
                      "data_folder");
  if (is_on_read_only_disk(at))
    return report.add(is_there ? Kind::kWarning : Kind::kRefused, folder,
                      "lies on a disk that is read-only", "make the disk writable", ErrorCode::kIo,
                      "disk_read_only");
  if (may_write(at)) return;
  report.add(Kind::kRefused, folder,
             is_there ? "cannot be written by this user"
                      : fmt::format("is not there and cannot be made in {}", at.string()),
             "give it to the user of this program, or run as its owner", ErrorCode::kIo,
             "data_folder");
}

}  // namespace notp
