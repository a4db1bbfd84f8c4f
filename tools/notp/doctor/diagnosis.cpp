#include "tools/notp/doctor/diagnosis.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/bytes.hpp"
#include "common/config_section.hpp"
#include "common/setup_report.hpp"
#include "tools/notp/doctor/finding_codes.hpp"

namespace notp::cli::doctor {
namespace {

std::string filled(std::string_view text, const Subject& whole, const std::string& subject) {
  std::string out(text);
  const std::pair<std::string_view, std::string> parts[] = {{"{subject}", shell_word(subject)},
                                                            {"{config}", shell_word(whole.config)},
                                                            {"{program}", whole.program}};
  for (const auto& [name, value] : parts)
    if (const size_t at = out.find(name); at != out.npos) out.replace(at, name.size(), value);
  return out;
}

}  // namespace

void Diagnosis::add(std::string_view code, std::string subject, std::string what,
                    std::string advice) {
  const FindingCode* const known = find_code(code);
  NOTP_ASSERT(known != nullptr, "a finding without a row in the table");
  add(code, known->is_error, std::move(subject), std::move(what), std::move(advice));
}

void Diagnosis::add(std::string_view code, bool is_error, std::string subject, std::string what,
                    std::string advice) {
  const FindingCode& known = *find_code(code);
  std::string_view command = known.command;
  if (command.contains("{subject}") && subject.empty())
    command = find_code(kConfigurationFault)->command;
  // Of the CLI's own settings.
  if (command.contains("{config}") && subject_.config.empty()) command = "notp config";
  std::string shown = filled(command, subject_, subject);
  findings_.push_back({std::string(code), is_error, std::move(subject), std::move(what),
                       std::string(known.why), std::move(advice), std::move(shown)});
}

void Diagnosis::add_setup(const json::array& findings) {
  for (const json::value& row : findings) {
    const config::Section finding(row);
    const std::string name = finding.text("name"), subject = finding.text("subject");
    add(find_code(name) != nullptr ? std::string_view(name) : kConfigurationFault,
        finding.text("severity") == "error", subject, finding.text("problem"),
        finding.text("advice"));
  }
}

void Diagnosis::cannot_check(std::string what) { unchecked_.push_back(std::move(what)); }

void Diagnosis::saw(std::string name, std::string value) {
  seen_.emplace_back(std::move(name), std::move(value));
}

bool Diagnosis::has(std::string_view code) const {
  return std::ranges::any_of(findings_, [&](const Finding& row) { return row.code == code; });
}

std::string Diagnosis::text(const Output& output) const {
  std::string out;
  for (const Finding& row : findings_) {
    const std::string head = row.is_error ? output.paint(Colour::kRed, "error")
                                          : output.paint(Colour::kYellow, "warning");
    const std::string what = row.subject.empty() || row.what.contains(row.subject)
                                 ? row.what
                                 : fmt::format("{}: {}", row.subject, row.what);
    out += fmt::format("{} {}: {}\n", head, output.paint(Colour::kBold, row.code),
                       printable(what, what.size() * 4));
    std::vector<std::pair<std::string, std::string>> lines{{"why", row.why}};
    if (!row.advice.empty()) lines.emplace_back("do", printable(row.advice, row.advice.size() * 4));
    lines.emplace_back("run", output.paint(Colour::kCyan, row.command));
    out += facts(lines) + "\n";
  }
  if (!seen_.empty()) out += facts(seen_);
  for (const std::string& what : unchecked_) out += fmt::format("  not checked: {}\n", what);
  if (findings_.empty()) return out + output.paint(Colour::kGreen, "no findings") + "\n";
  return out + counted(findings_.size(), "finding") + "\n";
}

json::value Diagnosis::document() const {
  json::array findings, unchecked;
  for (const Finding& row : findings_)
    findings.push_back(json::object{{"code", row.code},
                                    {"severity", row.is_error ? "error" : "warning"},
                                    {"subject", row.subject},
                                    {"what", row.what},
                                    {"why", row.why},
                                    {"advice", row.advice},
                                    {"command", row.command}});
  for (const std::string& what : unchecked_) unchecked.emplace_back(what);
  json::object seen;
  for (const auto& [name, value] : seen_) seen[name] = value;
  return json::object{{"of", subject_.kind},
                      {"config", subject_.config},
                      {"findings", std::move(findings)},
                      {"seen", std::move(seen)},
                      {"not_checked", std::move(unchecked)}};
}

}  // namespace notp::cli::doctor
