# The composition root as a library, so that tests can start a whole control plane, and the binary.
signalbox_library(signalbox_controlplane SOURCES controlplane.cc data_dir.cc metrics.cc
  DEPS signalbox_api signalbox_http_api signalbox_ledger_service signalbox_prices signalbox_publish
       signalbox_quota_service signalbox_seal signalbox_store gRPC::grpc++_reflection PkgConfig::glog
       PkgConfig::prometheus)
add_executable(signalbox-controlplane main.cc)
target_link_libraries(signalbox-controlplane PRIVATE signalbox_controlplane absl::flags absl::flags_parse
                      absl::flags_usage)
