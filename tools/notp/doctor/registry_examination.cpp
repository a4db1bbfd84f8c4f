#include <fmt/format.h>

#include "common/http/client.hpp"
#include "tools/notp/doctor/daemon_check.hpp"
#include "tools/notp/doctor/examinations.hpp"
#include "tools/notp/doctor/machine.hpp"
#include "tools/notp/doctor/reach.hpp"

namespace notp::cli::doctor {
namespace {

constexpr int kHttpOk = 200;
constexpr size_t kBodyShown = 300;

void check_descriptors(const config::Section& facts, Diagnosis& diagnosis) {
  const Subject& subject = diagnosis.subject();
  const auto running = descriptors_of_process(subject.program, subject.config);
  const uint64_t limit = running.value_or(own_descriptors());
  const auto needed = static_cast<uint64_t>(facts.integer("descriptors_needed"));
  if (limit >= needed) return;
  diagnosis.add(
      "descriptors", "limits.sessions",
      fmt::format("{} sessions need {} descriptors, and {} may open {}",
                  human_count(static_cast<uint64_t>(facts.integer("sessions"))),
                  human_count(needed), running ? "the running registry" : "a program started here",
                  human_count(limit)),
      fmt::format("set LimitNOFILE={} or more, or limits.sessions lower", needed));
}

void check_listener(const config::Section& facts, Diagnosis& diagnosis) {
  const std::string address = address_from_here(facts.text("listen"));
  if (const auto at = HostPort::parse(address); at && at->port == 0)
    return diagnosis.cannot_check("the listener: its port is chosen at each start");
  if (const auto reached = reach(address); !reached)
    return diagnosis.add("not_listening", address, reached.error().message, "start the registry");
  diagnosis.saw("listens on", address);
}

void check_health(const config::Section& facts, Diagnosis& diagnosis) {
  const std::string listen = facts.text("health_listen");
  const auto at = HostPort::parse(listen);
  if (listen.empty() || diagnosis.has("not_listening") || !at || at->port == 0) return;
  const std::string url = fmt::format("http://{}/health", address_from_here(listen));
  const auto answer = http::call_blocking({.url = url});
  if (!answer) return diagnosis.add("unhealthy", url, answer.error().message);
  if (answer->status != kHttpOk)
    return diagnosis.add(
        "unhealthy", url,
        fmt::format("status {}: {}", answer->status, printable(answer->body, kBodyShown)));
  diagnosis.saw("health", "ok");
}

}  // namespace

Result<void> examine_registry(const Context& context, Diagnosis& diagnosis) {
  NOTP_ASSIGN(const auto document, check_by_daemon(context, diagnosis));
  if (!document) return {};
  const config::Section facts(*document);
  check_descriptors(facts, diagnosis);
  if (facts.text("deny_list").empty())
    diagnosis.add("deny_list_missing", "deny_list", "no ledger is named as the deny list",
                  "name a ledger that has a publisher as deny_list");
  check_listener(facts, diagnosis);
  check_health(facts, diagnosis);
  return {};
}

}  // namespace notp::cli::doctor
