#include "common/systemd/passed_sockets.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <ranges>
#include <utility>

#include "common/systemd/variable.hpp"

namespace notp::systemd {
namespace {

constexpr int kFirst = 3;                          // SD_LISTEN_FDS_START
constexpr std::string_view kNameless = "unknown";  // what sd_listen_fds_with_names(3) calls it

}  // namespace

Result<PassedSockets> PassedSockets::take_from_environment() {
  const std::string pid = take_variable("LISTEN_PID");
  const std::string count_text = take_variable("LISTEN_FDS");
  const std::string names_text = take_variable("LISTEN_FDNAMES");
  PassedSockets out;
  // Unlike WATCHDOG_PID, it has to be there.
  if (count_text.empty() || pid.empty() || !is_for_this_process(pid)) return out;
  const auto count = number_of(count_text);
  if (!count || *count > kPassedSocketsMax)
    return fail(ErrorCode::kConfig,
                fmt::format("LISTEN_FDS is '{}': a service manager passes a number of sockets, {} "
                            "at most",
                            count_text, kPassedSocketsMax));
  std::vector<std::string> names;
  for (const auto name : std::views::split(names_text, ':'))
    names.emplace_back(name.begin(), name.end());
  if (names_text.empty()) names.assign(*count, std::string(kNameless));
  if (names.size() != *count)
    return fail(ErrorCode::kConfig,
                fmt::format("LISTEN_FDNAMES has {} names for {} sockets", names.size(), *count));
  for (size_t i = 0; i < names.size(); ++i) {
    Descriptor socket(kFirst + static_cast<int>(i));
    if (::fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0) {
      static_cast<void>(socket.release());
      return fail(ErrorCode::kConfig, fmt::format("LISTEN_FDS is {}, but descriptor {} is not open",
                                                  *count, kFirst + static_cast<int>(i)));
    }
    NOTP_TRY(out.add(std::move(names[i]), std::move(socket)));
  }
  return out;
}

Result<void> PassedSockets::add(std::string name, Descriptor socket) {
  if (sockets_.contains(name))
    return fail(
        ErrorCode::kConfig,
        fmt::format("the service manager passes two sockets of the name '{}': give each its "
                    "own socket unit, with its own FileDescriptorName=",
                    name));
  sockets_.emplace(std::move(name), std::move(socket));
  return {};
}

Descriptor PassedSockets::take(std::string_view name) {
  const auto found = sockets_.find(name);
  if (found == sockets_.end()) return {};
  Descriptor socket = std::move(found->second);
  sockets_.erase(found);
  return socket;
}

std::vector<std::string> PassedSockets::names() const {
  std::vector<std::string> out;
  for (const auto& [name, socket] : sockets_) out.push_back(name);
  return out;
}

}  // namespace notp::systemd
