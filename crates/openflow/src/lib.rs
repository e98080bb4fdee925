//! OpenFlow 1.3 to 1.5 with the extensions of Open vSwitch.
