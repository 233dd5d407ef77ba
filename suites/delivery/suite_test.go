package delivery

import (
	"testing"

	"github.com/faultline/faultline/framework/run/suite"
)

func TestDelivery(t *testing.T) { suite.Run(t, "delivery") }
