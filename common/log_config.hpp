// The section `log` of a configuration.
#pragma once

#include "common/config_section.hpp"
#include "common/log.hpp"

namespace notp {

struct LogConfig {
  log::Level level = log::Level::kInfo;
  log::Format format = log::Format::kJson;
};

// kConfig.
Result<LogConfig> load_log(const config::Section& log);

}  // namespace notp
