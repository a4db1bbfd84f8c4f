#include "tools/bench/agent_arm.hpp"

#include <fmt/format.h>
#include <poll.h>

#include "common/http/client.hpp"
#include "common/storage/files.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kPatienceMs = 300'000, kStopMs = 30'000;
constexpr int kPollMs = 2;
constexpr size_t kLogTail = 1'500;
constexpr size_t kPortFileBytesMax = 128, kLogBytesMax = 64 << 20;

// Replaces `to`; removes it when `from` does not exist.
Result<void> copy_folder(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code failed;
  std::filesystem::remove_all(to, failed);
  if (!failed && std::filesystem::exists(from, failed))
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive, failed);
  if (failed) return fail(ErrorCode::kIo, "cannot copy an agent's store: " + failed.message());
  return {};
}

std::string pdp_text(const AgentSetup& setup) {
  if (setup.pdp == AgentPdp::kEmbedded) return "{kind: embedded}";
  return fmt::format("{{kind: folder, folder: {{path: {}.model, hook: [/bin/true]}}}}", setup.node);
}

}  // namespace

Result<AgentArm> AgentArm::make(std::filesystem::path programs, std::filesystem::path folder,
                                AgentSetup setup) {
  AgentArm arm(std::move(programs), std::move(folder), std::move(setup));
  const AgentSetup& s = arm.setup_;
  std::string ledgers = s.ledger;
  for (const std::string& one : s.more_ledgers) ledgers += fmt::format("', '{}", one);
  NOTP_TRY(
      write_file(arm.folder_ / (s.node + ".yaml"),
                 fmt::format("trust_domain: {}\n"
                             "registry: 127.0.0.1:{}\n"
                             "listen: 127.0.0.1:0\n"
                             "port_file: {}.port\n"
                             "data_dir: {}\n"
                             "root: root.envelope\n"
                             "tls: {{certificate: pki/{}.crt, key: pki/{}.key, ca: pki/ca.crt}}\n"
                             "ledgers: ['{}']\n"
                             "pdp: {}\n{}",
                             s.trust_domain, s.registry, s.node, s.node, s.node, s.node, ledgers,
                             pdp_text(s), s.more)));
  return arm;
}

Result<void> AgentArm::start() {
  std::error_code ignored;
  std::filesystem::remove(port_file(), ignored);  // left by the previous run
  port_ = 0;
  Command command;
  command.words = {(programs_ / "notp-client").string(), "--config", setup_.node + ".yaml"};
  command.folder = folder_;
  command.log = folder_ / (setup_.node + ".log");
  NOTP_ASSIGN(process_, Child::start(command));
  return {};
}

Result<void> AgentArm::stop() {
  if (!process_) return {};
  NOTP_TRY(process_->stop(kStopMs));
  process_.reset();
  return {};
}

Result<void> AgentArm::forget() {
  std::error_code failed;
  std::filesystem::remove_all(store(), failed);
  if (failed) return fail(ErrorCode::kIo, "cannot remove an agent's store: " + failed.message());
  return {};
}

Result<void> AgentArm::keep_store() const { return copy_folder(store(), kept()); }

Result<void> AgentArm::restore_store() const { return copy_folder(kept(), store()); }

Result<void> AgentArm::verify_store() const {
  Command command;
  command.words = {(programs_ / "notp-client").string(), "--config", setup_.node + ".yaml", "store",
                   "verify"};
  command.folder = folder_;
  NOTP_TRY(run(command, kPatienceMs));
  return {};
}

Result<void> AgentArm::check_running() {
  if (process_ && !process_->poll()) return {};
  return fail(ErrorCode::kUnavailable, fmt::format("node {} has ended:\n{}", setup_.node,
                                                   log_tail(folder_ / (setup_.node + ".log"))));
}

Result<json::value> AgentArm::await_status(std::string_view what,
                                           const std::function<bool(const json::value&)>& fits) {
  const TimeMs deadline_ms = read_clock().boot_ms + kPatienceMs;
  for (;;) {
    if (port_ == 0) port_ = port_in(port_file()).value_or(0);
    if (port_ != 0) {
      http::Call call;
      call.url = fmt::format("http://127.0.0.1:{}/v1/status", port_);
      const auto answer = http::call_blocking(std::move(call));
      if (answer && answer->status == 200)
        if (auto status = parse_json(answer->body); status && fits(*status)) return status;
    }
    NOTP_TRY(check_running());
    if (read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kTimeout, fmt::format("node {}: not {} in time:\n{}", setup_.node,
                                                   what, log_tail(folder_ / (node() + ".log"))));
    ::poll(nullptr, 0, kPollMs);
  }
}

Result<void> AgentArm::await_active(uint64_t version) {
  NOTP_TRY(await_status(fmt::format("deciding with v{}", version), [&](const json::value& status) {
    return ledger_number(status, "active_version") == version;
  }));
  return {};
}

const json::value* ledger_row(const json::value& status) {
  const json::object* object = status.if_object();
  const json::value* ledgers = object ? object->if_contains("ledgers") : nullptr;
  const json::array* rows = ledgers ? ledgers->if_array() : nullptr;
  return rows && !rows->empty() ? &rows->front() : nullptr;
}

uint64_t ledger_number(const json::value& status, std::string_view field) {
  const json::value* row = ledger_row(status);
  const json::object* object = row ? row->if_object() : nullptr;
  const json::value* value = object ? object->if_contains(field) : nullptr;
  return value && value->is_number() ? value->to_number<uint64_t>() : 0;
}

Result<uint16_t> port_in(const std::filesystem::path& file) {
  NOTP_ASSIGN(const Bytes text, read_file(file, kPortFileBytesMax));
  return static_cast<uint16_t>(std::atoi(text.substr(text.rfind(':') + 1).c_str()));
}

std::string log_tail(const std::filesystem::path& file) {
  auto text = read_file(file, kLogBytesMax);
  if (!text) return {};
  return text->size() > kLogTail ? text->substr(text->size() - kLogTail) : *text;
}

}  // namespace notp::bench
