#include "tools/bench/txn_suite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/jose/token.hpp"
#include "tools/bench/process_facts.hpp"
#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/txn_arm.hpp"
#include "tools/bench/txn_keycloak.hpp"

namespace notp::bench {
namespace {

// Enough of them that none comes again within a run, or before the service has forgotten it.
constexpr size_t kSubjectsMax = 40'000, kSubjectsEachSecond = 8'000;
constexpr size_t kSubjectsMin = 2'000;  // those that come again
constexpr size_t kKeycloakRequests = 50;
constexpr size_t kVerifyEach = 199;  // of so many tokens one is verified
constexpr double kShareOfRate = 0.6, kWarmUpS = 1, kKeycloakWarmUpS = 20;
constexpr TimeMs kSpeedMs = 60'000;
constexpr unsigned kOk = 200;

std::string_view text_at(const json::object& members, std::string_view name) {
  const json::value* value = members.if_contains(name);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

// Whether an answer is a token for its request. Of most, only that there is one.
class Checker {
 public:
  Checker(const TxnArm& arm, jose::KeySet keys, bool wants_grant)
      : issuer_(arm.issuer()), keys_(std::move(keys)), wants_grant_(wants_grant) {}

  Verdict judge(size_t index, const HttpAnswer& answer) {
    if (answer.status != kOk) return Verdict::kRefused;
    if (!answer.body.contains("\"access_token\":\"")) return Verdict::kWrong;
    if (wants_grant_ && !answer.body.contains("\"grant\":\"")) return Verdict::kWrong;
    if (answers_++ % kVerifyEach != 0) return Verdict::kRight;
    ++verified_;
    return is_right(index, answer.body) ? Verdict::kRight : Verdict::kWrong;
  }
  uint64_t verified() const { return verified_; }

 private:
  bool is_right(size_t index, std::string_view body) const {
    const auto document = parse_json(body);
    if (!document || !document->is_object()) return false;
    const auto token = jose::read_token(text_at(document->get_object(), "access_token"));
    return token &&
           jose::check_token(*token, keys_,
                             {.algorithms = {jose::Algorithm::kEs256},
                              .typ = "txntoken+jwt",
                              .issuer = issuer_,
                              .audience = std::string(TxnArm::kTrustDomain),
                              .now_ms = read_clock().wall_ms})
               .has_value() &&
           text_at(token->claims, "sub") == TxnArm::person(index) &&
           text_at(token->claims, "scope") == "order.pay" &&
           text_at(token->claims, "req_wl").starts_with("spiffe://");
  }

  const std::string issuer_;
  const jose::KeySet keys_;
  const bool wants_grant_;
  uint64_t answers_ = 0, verified_ = 0;
};

struct Measured {
  pid_t service = 0, registry = 0;  // 0: there is none
};

Result<TxnRow> measure(Measured who, std::string name, const LoadPlan& plan, double warm_up_s) {
  TxnRow row{.name = std::move(name), .connections = plan.connections, .load = {}};
  const auto registry_s = [&] {
    return who.registry == 0 ? Result<double>(0) : cpu_seconds_of(who.registry);
  };
  LoadPlan warm_up = plan;
  warm_up.seconds = warm_up_s;
  NOTP_TRY(run_load(warm_up));
  NOTP_ASSIGN(const double registry_before, registry_s());
  NOTP_ASSIGN(const double before, cpu_seconds_of(who.service));
  NOTP_ASSIGN(row.load, run_load(plan));
  NOTP_ASSIGN(const double after, cpu_seconds_of(who.service));
  NOTP_ASSIGN(const double registry_after, registry_s());
  row.cpu_s = after - before;
  row.registry_cpu_s = registry_after - registry_before;
  if (row.load.failed > 0 || row.load.answers == 0)
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: {} of {} requests got no token: {}", row.name, row.load.failed,
                            row.load.failed + row.load.answers, row.load.first_failure));
  return row;
}

// What a program of OpenSSL's says of its own.
Result<SignSpeed> measure_openssl() {
  Command command;
  command.words = {"openssl", "speed", "-mr", "-seconds", "1", "ecdsap256"};
  NOTP_ASSIGN(const std::string text, run(command, kSpeedMs));
  // +F4:<index>:<bits>:<signatures a second>:<verifications a second>
  const size_t at = text.find("+F4:");
  SignSpeed out;
  if (at != text.npos) {
    std::string_view line(text);
    line = line.substr(at, line.find('\n', at) - at);
    const size_t last = line.rfind(':'), before = line.rfind(':', last - 1);
    const auto read = [](std::string_view number, double& into) {
      return std::from_chars(number.data(), number.data() + number.size(), into).ec == std::errc();
    };
    if (read(line.substr(before + 1, last - before - 1), out.signs) &&
        read(line.substr(last + 1), out.verifies))
      return out;
  }
  return fail(ErrorCode::kInternal, "openssl speed prints another form: " + text);
}

class TxnSuite {
 public:
  TxnSuite(const TxnOptions& options, const std::filesystem::path& folder)
      : options_(options), folder_(folder) {}

  Result<TxnResult> run() {
    NOTP_ASSIGN(result_.openssl, measure_openssl());
    NOTP_ASSIGN(arm_, TxnArm::start(options_.programs, folder_ / "service"));
    NOTP_ASSIGN(tls_, arm_->workloads(std::ranges::max(options_.connections)));
    result_.rules = TxnArm::kRules;
    result_.connection_rows = options_.connections.size();
    result_.seconds = options_.seconds;
    NOTP_TRY(measure_issues());
    NOTP_TRY(arm_->stop());
    if (!options_.keycloak.empty()) NOTP_TRY(measure_keycloak());
    return std::move(result_);
  }

 private:
  struct Asked {
    std::string name;
    size_t connections = 1;
    double rate = 0;  // 0: without a pause
    bool delegates = false;
  };
  Result<void> measure_row(Asked asked, const std::vector<Bytes>& requests) {
    NOTP_ASSIGN(const jose::KeySet keys, arm_->keys());
    LoadPlan plan{.address = arm_->address(), .connections = asked.connections};
    plan.requests = requests;
    plan.identities = tls_;
    plan.rate = asked.rate;
    plan.seconds = options_.seconds;
    Checker checker(*arm_, keys, asked.delegates);
    plan.judge = [&](size_t index, const HttpAnswer& answer) {
      return checker.judge(index, answer);
    };
    NOTP_ASSIGN(TxnRow row, measure({arm_->pid(), arm_->registry_pid()}, std::move(asked.name),
                                    plan, std::min(kWarmUpS, options_.seconds)));
    row.verified = checker.verified();
    say(row);
    result_.issues.push_back(std::move(row));
    return {};
  }

  Result<void> measure_issues() {
    const auto wanted = static_cast<size_t>(options_.seconds * kSubjectsEachSecond);
    NOTP_ASSIGN(std::vector<Bytes> requests,
                arm_->requests(std::clamp(wanted, kSubjectsMin, kSubjectsMax), false));
    result_.request_bytes = requests.front().size();
    for (const size_t connections : options_.connections)
      NOTP_TRY(measure_row({fmt::format("{} connections", connections), connections}, requests));
    const size_t least = options_.connections.front();
    NOTP_TRY(measure_row({fmt::format("{} connections, 60 % of it", least), least,
                          kShareOfRate * result_.issues.front().rate()},
                         requests));
    requests.resize(kSubjectsMin);
    NOTP_TRY(measure_row({fmt::format("{} connections, subject tokens come again", least), least},
                         requests));
    NOTP_ASSIGN(requests, arm_->requests(kSubjectsMin, true));
    return measure_row(
        {fmt::format("{} connections, again, each makes a grant", least), least, 0, true},
        requests);
  }

  Result<void> measure_keycloak() {
    options_.progress("Keycloak starts: a minute or two");
    NOTP_ASSIGN(const auto keycloak,
                KeycloakArm::start({.home = options_.keycloak,
                                    .folder = folder_ / "keycloak",
                                    .certificate = arm_->file("pki/listener.crt"),
                                    .key = arm_->file("pki/listener.key")}));
    result_.keycloak = keycloak->version();
    NOTP_ASSIGN(const std::vector<Bytes> requests, keycloak->requests(kKeycloakRequests));
    for (const size_t connections : options_.connections) {
      LoadPlan plan{.address = keycloak->address(tls_.front()), .connections = connections};
      plan.requests = requests;
      plan.seconds = options_.seconds;
      plan.judge = [](size_t, const HttpAnswer& answer) {
        return answer.status == kOk && answer.body.contains("\"access_token\":\"")
                   ? Verdict::kRight
                   : Verdict::kRefused;
      };
      NOTP_ASSIGN(TxnRow row, measure({keycloak->pid()}, fmt::format("{} connections", connections),
                                      plan, std::min(kKeycloakWarmUpS, options_.seconds * 2)));
      say(row);
      result_.controls.push_back(std::move(row));
    }
    return keycloak->stop();
  }

  void say(const TxnRow& row) const {
    options_.progress(fmt::format("{}: {:.0f} a second, p50 {:.2f} ms, p99 {:.2f} ms, {:.0f} us",
                                  row.name, row.rate(), row.load.latency.p50(),
                                  row.load.latency.p99(), row.cpu_us_each()));
  }

  const TxnOptions& options_;
  const std::filesystem::path folder_;
  TxnResult result_;
  std::unique_ptr<TxnArm> arm_;
  std::vector<LoadTls> tls_;
};

}  // namespace

double TxnRow::rate() const { return ratio(static_cast<double>(load.answers), load.seconds); }
double TxnRow::cpu_us_each() const { return ratio(cpu_s * 1e6, static_cast<double>(load.answers)); }
double TxnRow::per_core() const { return ratio(static_cast<double>(load.answers), cpu_s); }

Result<TxnResult> run_txn(const TxnOptions& options) {
  NOTP_ASSIGN(const auto folder, ScratchFolder::make());
  return TxnSuite(options, folder->path()).run();
}

}  // namespace notp::bench
