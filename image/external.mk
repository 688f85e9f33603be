# What Buildroot shall know beside its own packages: where our binaries are, and that no option of a fragment may get lost.

BYWAY_TOP = $(BR2_EXTERNAL_BYWAY_PATH)/..
# Static, stripped, for arm64: `byway` and `tailscaled`. Never built here.
BYWAY_PREBUILT = $(BR2_EXTERNAL_BYWAY_PATH)/prebuilt
BYWAY_VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' $(BYWAY_TOP)/Cargo.toml | head -n 1)
BYWAY_TAILSCALE_VERSION = $(shell sed -n 's/.*tailscale.com v\([0-9.]*\).*/\1/p' $(BYWAY_TOP)/tests/lab/peers/tailscale/go.mod)

define BYWAY_REQUIRE_PREBUILT
	@for binary in byway tailscaled; do \
		test -x $(BYWAY_PREBUILT)/$$binary && continue; \
		echo "$(BYWAY_PREBUILT)/$$binary is missing: run \`just image\`, or \`just cross\` and copy both binaries there (image/README.md)" >&2; \
		exit 1; \
	done
endef

include $(sort $(wildcard $(BR2_EXTERNAL_BYWAY_PATH)/package/*/*.mk))

# After Kconfig has had its say, and before anything is compiled.
define BYWAY_CHECK_LINUX
	$(BR2_EXTERNAL_BYWAY_PATH)/stuck.sh $(@D)/.config $(call qstrip,$(BR2_LINUX_KERNEL_CONFIG_FRAGMENT_FILES))
endef
LINUX_POST_CONFIGURE_HOOKS += BYWAY_CHECK_LINUX

define BYWAY_CHECK_BUSYBOX
	$(BR2_EXTERNAL_BYWAY_PATH)/stuck.sh $(@D)/.config $(call qstrip,$(BR2_PACKAGE_BUSYBOX_CONFIG_FRAGMENT_FILES))
endef
BUSYBOX_POST_CONFIGURE_HOOKS += BYWAY_CHECK_BUSYBOX
