#include "tools/bench/decide_questions.hpp"

#include <fmt/format.h>

#include <charconv>

namespace notp::bench {
namespace {

constexpr unsigned kOk = 200;

// Returns the text after `"name":` in `text`, from `at` on; empty when it is not there.
std::string_view member(std::string_view text, std::string_view name, size_t& at) {
  const size_t found = text.find(name, at);
  if (found == text.npos) return {};
  at = found + name.size();
  return text.substr(at);
}

std::string_view member(std::string_view text, std::string_view name) {
  size_t at = 0;
  return member(text, name, at);
}

std::optional<bool> boolean(std::string_view text) {
  if (text.starts_with("true")) return true;
  if (text.starts_with("false")) return false;
  return std::nullopt;
}

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

}  // namespace

Bytes post_message(const PdpAddress& address, std::string_view target, ByteView body) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: "
      "{}\r\n\r\n{}",
      target, address.host(), body.size(), body);
}

std::vector<Bytes> data_messages(const PdpAddress& address, std::string_view path,
                                 const std::vector<RbacQuestion>& questions) {
  std::vector<Bytes> out;
  for (const RbacQuestion& question : questions)
    out.push_back(post_message(address, fmt::format("/v1/data/{}", path),
                               fmt::format(R"({{"input":{}}})", question.input)));
  return out;
}

std::vector<Bytes> batch_messages(const PdpAddress& address,
                                  const std::vector<RbacQuestion>& questions, size_t batch) {
  std::vector<Bytes> out;
  for (size_t first = 0; first + batch <= questions.size(); first += batch) {
    std::string inputs;
    for (size_t i = first; i < first + batch; ++i)
      inputs += (i == first ? "" : ",") + questions[i].input;
    out.push_back(post_message(address, "/access/v1/evaluations",
                               fmt::format(R"({{"evaluations":[{}]}})", inputs)));
  }
  return out;
}

Verdict judge_allowed(const HttpAnswer& answer, bool allowed) {
  if (answer.status != kOk) return Verdict::kRefused;
  return boolean(member(answer.body, R"("result":)")) == allowed ? Verdict::kRight
                                                                 : Verdict::kWrong;
}

Verdict judge_all(const HttpAnswer& answer, const std::vector<RbacQuestion>& questions,
                  size_t batch, size_t number) {
  // A failed evaluation in a batch denies, with the error in its context.
  if (answer.status != kOk || !member(answer.body, R"("error":)").empty()) return Verdict::kRefused;
  constexpr std::string_view kName = R"("decision":)";
  size_t at = 0;
  for (size_t i = number * batch; i < (number + 1) * batch; ++i)
    if (boolean(member(answer.body, kName, at)) != questions[i].allowed) return Verdict::kWrong;
  return member(answer.body, kName, at).empty() ? Verdict::kRight : Verdict::kWrong;
}

std::optional<StampedAnswer> stamped_answer(const HttpAnswer& answer) {
  const auto allowed = boolean(member(answer.body, R"("allow":)"));
  const auto rule = number(member(answer.body, R"("rule":)"));
  const auto document = number(member(answer.body, R"("document":)"));
  if (answer.status != kOk || !allowed || !rule || !document) return std::nullopt;
  return StampedAnswer{*allowed, *rule, *document};
}

}  // namespace notp::bench
